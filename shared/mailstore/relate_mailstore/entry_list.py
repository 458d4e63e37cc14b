"""A mailbox's entries in UID order, as a persistent list: a new state costs O(changes), not O(entries).

Entries lie in leaves, each of them columns, and a new state shares all unchanged leaves with the one before. Each state
also logs the last deltas, so that a reader of an earlier state need not compare all entries.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, compress, repeat
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, cast, overload

from relate_mailstore.entry_columns import (
    EMPTY_COLUMNS,
    ENTRY_OCTETS,
    Entry,
    EntryColumns,
    NumberField,
    has_flag,
    join_column,
    join_columns,
)
from relate_mailstore.identifiers import NO_MODSEQ, MessageId, ModSeq, Uid

__all__ = ["LEAF_ENTRIES", "Delta", "Entry", "EntryList"]

LEAF_ENTRIES = 512  # at most: a change of one among a million copies 512 flags and modseqs, and 2,000 pointers
MAX_LEAVES_RATIO = 4  # to full leaves: expunges leave small ones, which cost as much memory as full ones
MAX_DELTAS = 64  # in the log: more than occur between two commands of an active client
MAX_DELTA_ENTRIES = 64  # larger deltas are not logged (and the log before them is cut): a full comparison is as fast

# Measured with tracemalloc.
DELTA_OCTETS = 500
REMOVED_UID_OCTETS = 40

_base_modseq, _octets = itemgetter(0), attrgetter("octets")


def _first_uid(leaf: EntryColumns) -> int:
    return leaf.uid[0]


class Delta(NamedTuple):
    """The difference between two states: new and changed entries in UID order, and the UIDs of removed ones."""

    changed: Sequence[Entry] = ()
    removed: Collection[Uid] = frozenset()

    @property
    def octets(self) -> int:
        """The memory that it takes."""
        return ENTRY_OCTETS * len(self.changed) + REMOVED_UID_OCTETS * len(self.removed) + DELTA_OCTETS


class _Leaves(NamedTuple):
    """The leaves of a state, where each starts and where the last one ends, and the octets of all."""

    leaves: Sequence[EntryColumns]
    starts: Sequence[int]
    octets: int


class EntryList(Sequence[Entry]):
    """Entries in UID order, as of a modseq. Immutable."""

    def __init__(self, entries: Iterable[Entry] = (), modseq: ModSeq = NO_MODSEQ) -> None:
        self._begin(_leaves_of([EntryColumns.of(entries)]), modseq)

    @classmethod
    def of_columns(cls, pieces: Iterable[EntryColumns], modseq: ModSeq) -> "EntryList":
        """Entries in UID order, given as columns."""
        return cls.__new__(cls)._begin(_leaves_of(pieces), modseq)

    def _begin(self, leaves: _Leaves, modseq: ModSeq) -> "EntryList":
        """Become a state that descends from none."""
        self._leaves, self._starts, self._leaves_octets = leaves
        self.modseq = modseq
        self._deltas: tuple[tuple[ModSeq, Delta], ...] = ()  # each with the modseq of the state before it
        self._deltas_octets = 0
        self._lineage = object()  # shared by all states that descend from one: only these can be compared by deltas
        return self

    # --- Sequence

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self._leaves)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        positions = range(len(self))[index]
        if isinstance(positions, int):
            leaf = bisect_right(self._starts, positions) - 1
            return self._leaves[leaf][positions - self._starts[leaf]]
        if positions.step == 1:
            return self.cut(positions.start, positions.stop)
        return tuple(self[position] for position in positions)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EntryList):
            return self is other or self.cut(0, len(self)) == other.cut(0, len(other))
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # hashing would be O(entries)

    # --- Columns

    @property
    def octets(self) -> int:
        """The memory that the entries and the log take. Other states may share most of it."""
        return self._leaves_octets + self._deltas_octets

    def cut(self, start: int, stop: int) -> EntryColumns:
        """The entries [start, stop)."""
        return join_columns([*self._pieces(start, stop)])

    def pick(self, positions: Sequence[int]) -> EntryColumns:
        """The entries at these positions, which ascend."""
        if isinstance(positions, range):
            return self.cut(positions.start, positions.stop)
        return join_columns([*self._picked(positions)])

    def _picked(self, positions: Sequence[int]) -> Iterator[EntryColumns]:
        """The entries at these positions, leaf by leaf."""
        done = 0
        while done < len(positions):
            leaf = bisect_right(self._starts, positions[done]) - 1
            first = self._starts[leaf]
            stop = bisect_left(positions, self._starts[leaf + 1], done)
            yield self._leaves[leaf].pick([position - first for position in positions[done:stop]])
            done = stop

    def column(self, name: NumberField, start: int = 0, stop: int | None = None) -> Sequence[Any]:
        """One field of the entries [start, stop): integers, of the type that `Entry` has."""
        pieces = [getattr(piece, name) for piece in self._pieces(start, len(self) if stop is None else stop)]
        return b"".join(pieces) if name == "flags" else join_column(pieces) if pieces else ()

    def between(self, start: int, stop: int) -> Iterator[Entry]:
        """The entries [start, stop), each made when it is reached."""
        return chain.from_iterable(self._pieces(start, stop))

    def uid_at(self, index: int) -> Uid:
        """The UID of one entry. Raises IndexError."""
        return self[index].uid

    def with_flag(self, flag: int) -> bytes:
        """An octet per entry: 1 if it has this flag, else 0."""
        return b"".join([leaf.flags for leaf in self._leaves]).translate(has_flag(flag))

    def uids_with_flag(self, flag: int) -> list[Uid]:
        """The UIDs of the entries with this flag."""
        masks = [(leaf.uid, leaf.flags.translate(has_flag(flag))) for leaf in self._leaves]
        return cast("list[Uid]", [*chain.from_iterable(compress(uids, mask) for uids, mask in masks if 1 in mask)])

    def uids_of(self, message_ids: Iterable[MessageId]) -> Mapping[MessageId, Sequence[Uid]]:
        """The UIDs of those messages that the list has. Reads all message ids, and creates no `Entry`."""
        wanted = {message_id.bytes: message_id for message_id in message_ids}
        found: dict[MessageId, list[Uid]] = {}
        for leaf in self._leaves:
            for position, octets in enumerate(leaf.octets_of_ids):
                if octets in wanted:
                    found.setdefault(wanted[octets], []).append(Uid(leaf.uid[position]))
        return found

    def changed_since(self, modseq: int) -> Iterator[int]:
        """The positions of the entries with a later modseq, ascending; skips the leaves that have none."""
        for start, leaf in zip(self._starts, self._leaves, strict=False):
            if leaf.last_modseq > modseq:
                yield from (position for position, last in enumerate(leaf.modseq, start) if last > modseq)

    def positions_of(self, message_id: bytes) -> Iterator[int]:
        """The positions of the entries of a message, ascending."""
        for start, leaf in zip(self._starts, self._leaves, strict=False):
            if message_id in leaf.message_id:
                yield from (position for position, one in enumerate(leaf.message_ids, start) if one.bytes == message_id)

    @property
    def keyword_sets(self) -> Iterator[tuple[str, ...]]:
        """The keywords of each entry."""
        return chain.from_iterable(leaf.keywords or repeat((), len(leaf)) for leaf in self._leaves)

    @property
    def distinct_keywords(self) -> Collection[tuple[str, ...]]:
        """The distinct sets of keywords of the entries."""
        return frozenset().union(*[leaf.distinct_keywords for leaf in self._leaves if leaf.keywords])

    def _pieces(self, start: int, stop: int) -> Iterator[EntryColumns]:
        """The parts of leaves that lie in [start, stop)."""
        stop = min(stop, len(self))
        leaf = bisect_right(self._starts, start) - 1
        while start < stop:
            first = self._starts[leaf]
            yield self._leaves[leaf].cut(start - first, stop - first)
            leaf += 1
            start = self._starts[leaf]

    # --- Lookup by UID

    def index_of(self, uid: int) -> int:
        """The index of the entry with this UID, or at which it would be inserted."""
        leaf = self._leaf_of(uid)
        return self._starts[leaf] + self._leaves[leaf].position_of(uid) if self._leaves else 0

    def position_of(self, uid: int) -> int | None:
        """The index of the entry with this UID; None if there is none."""
        leaf, position = self._place_of(uid)
        return None if position is None else self._starts[leaf] + position

    def find(self, uid: Uid) -> Entry | None:
        """The entry with this UID, or None."""
        position = self.position_of(uid)
        return None if position is None else self[position]

    def _leaf_of(self, uid: int) -> int:
        return max(bisect_right(self._leaves, uid, key=_first_uid) - 1, 0)

    # --- Change

    def after(self, modseq: ModSeq, changed: Iterable[Entry] = (), removed: Collection[Uid] = ()) -> "EntryList":
        """The state at a later modseq, with these entries changed or added and these UIDs removed."""
        delta = Delta(sorted(changed), frozenset(removed))
        state = object.__new__(EntryList)
        state._leaves, state._starts, state._leaves_octets = self._leaves_after(delta)
        state.modseq = modseq
        state._lineage = self._lineage
        state._deltas, state._deltas_octets = self._deltas_after(delta)
        return state

    def with_entries(self, entries: Iterable[Entry]) -> "EntryList":
        """The same entries and these, in a list that descends from none."""
        return EntryList.__new__(EntryList)._begin(self._leaves_after(Delta(sorted(entries))), NO_MODSEQ)

    def delta_since(self, earlier: "EntryList") -> Delta | None:
        """The difference to an earlier state, which may remove UIDs that it did not have; None if it is not logged."""
        if earlier._lineage is not self._lineage or earlier.modseq > self.modseq:
            return None
        if earlier.modseq == self.modseq:
            return Delta()
        first = bisect_right(self._deltas, earlier.modseq, key=_base_modseq) - 1
        return None if first < 0 else _merge([delta for _, delta in self._deltas[first:]], earlier.modseq)

    def _deltas_after(self, delta: Delta) -> tuple[tuple[tuple[ModSeq, Delta], ...], int]:
        """The log, and its octets."""
        if len(delta.changed) + len(delta.removed) > MAX_DELTA_ENTRIES:
            return (), 0
        kept = self._deltas[1 - MAX_DELTAS :]
        dropped = self._deltas[: len(self._deltas) - len(kept)]
        octets = self._deltas_octets + delta.octets - sum(old.octets for _, old in dropped)
        return (*kept, (self.modseq, delta)), octets

    def _leaves_after(self, delta: Delta) -> _Leaves:
        edits = self._edits(delta)
        if not edits:
            return _Leaves(self._leaves, self._starts, self._leaves_octets)
        leaves, octets = [*self._leaves], self._leaves_octets
        for index in sorted(edits, reverse=True):
            before = leaves[index : index + 1]
            leaves[index : index + 1] = after = edits[index].apply(before[0] if before else EMPTY_COLUMNS)
            octets += sum(map(_octets, after)) - sum(map(_octets, before))
        first = min(edits)
        starts = self._starts
        if not all(edit.keeps_length for edit in edits.values()):
            starts = [*starts[:first], *accumulate(map(len, leaves[first:]), initial=starts[first])]
        if len(leaves) > MAX_LEAVES_RATIO * (starts[-1] // LEAF_ENTRIES + 1):
            return _leaves_of([join_columns(leaves)])
        return _Leaves(leaves, starts, octets)

    def _edits(self, delta: Delta) -> dict[int, "_Edit"]:
        """What changes in each leaf, by its index."""
        edits: defaultdict[int, _Edit] = defaultdict(_Edit)
        for entry in delta.changed:
            leaf, position = self._place_of(entry.uid)
            if position is None:
                edits[leaf].new.append(entry)
            else:
                edits[leaf].changed[position] = entry
        for uid in delta.removed:
            leaf, position = self._place_of(uid)
            if position is not None:
                edits[leaf].removed.append(position)
        return edits

    def _place_of(self, uid: int) -> tuple[int, int | None]:
        """The leaf that has this UID or would have it, and its position there; None if it is not there."""
        if not self._leaves:
            return 0, None
        index = self._leaf_of(uid)
        leaf = self._leaves[index]
        position = leaf.position_of(uid)
        return index, position if position < len(leaf) and leaf.uid[position] == uid else None


@dataclass(slots=True)
class _Edit:
    """The changes of one leaf, by position."""

    changed: dict[int, Entry] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    new: list[Entry] = field(default_factory=list)

    @property
    def keeps_length(self) -> bool:
        """Whether no entry is added or removed."""
        return not self.removed and not self.new

    def apply(self, leaf: EntryColumns) -> Sequence[EntryColumns]:
        """The leaves after these changes."""
        if self.changed:
            leaf = leaf.replacing(self.changed)
        if self.removed:
            leaf = leaf.without(sorted(self.removed))
        if self.new:
            leaf = leaf.with_new(self.new)
        return leaf.split(LEAF_ENTRIES)


def _leaves_of(pieces: Iterable[EntryColumns]) -> _Leaves:
    leaves = [leaf for piece in pieces for leaf in piece.split(LEAF_ENTRIES)]
    return _Leaves(leaves, [0, *accumulate(map(len, leaves))], sum(map(_octets, leaves)))


def _merge(deltas: Iterable[Delta], modseq: ModSeq) -> Delta:
    """Several deltas as one, without entries that were already so at this modseq."""
    changed, removed = dict[Uid, Entry](), set[Uid]()
    for delta in deltas:
        changed.update((entry.uid, entry) for entry in delta.changed if entry.modseq > modseq)
        removed.update(delta.removed)
    return Delta(sorted(entry for uid, entry in changed.items() if uid not in removed), removed)
