"""A mailbox's entries in UID order, as a persistent list: a new state costs O(changes), not O(entries).

Entries lie in leaves of equal size, and a new state shares all unchanged leaves with the one before. Each state also
logs the last deltas, so that a reader of an earlier state need not compare all entries.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from operator import attrgetter, itemgetter
from typing import NamedTuple, overload

from relate_mailstore.identifiers import NO_MODSEQ, MessageId, ModSeq, Uid

__all__ = ["Delta", "Entry", "EntryList"]

LEAF_ENTRIES = 128  # a change among 10,000 entries copies 128 of them, and pointers to 79 leaves
MAX_DELTAS = 64  # in the log: more than occur between two commands of an active client
MAX_DELTA_ENTRIES = 64  # larger deltas are not logged (and the log before them is cut): a full comparison is as fast


class Entry(NamedTuple):
    """A message in a mailbox."""

    uid: Uid
    message_id: MessageId
    size: int  # octets of the raw message
    flags: int  # Flag bits
    keywords: tuple[str, ...]  # sorted; labels of the API
    internal_date: int  # seconds since the epoch
    modseq: ModSeq
    saved: int  # seconds since the epoch: SAVEDATE, when it was entered into this mailbox (RFC 8514)


Leaf = tuple[Entry, ...]

_uid = attrgetter("uid")
_base_modseq = itemgetter(0)


def _first_uid(leaf: Leaf) -> Uid:
    return leaf[0].uid


class Delta(NamedTuple):
    """The difference between two states: new and changed entries in UID order, and the UIDs of removed ones."""

    changed: Sequence[Entry] = ()
    removed: Collection[Uid] = frozenset()


class EntryList(Sequence[Entry]):
    """Entries in UID order, as of a modseq. Immutable."""

    def __init__(self, entries: Iterable[Entry] = (), modseq: ModSeq = NO_MODSEQ) -> None:
        self.modseq = modseq
        self._leaves = _split(tuple(entries))
        self._length = _count(self._leaves)
        self._deltas: tuple[tuple[ModSeq, Delta], ...] = ()  # each with the modseq of the state before it
        self._lineage = object()  # shared by all states that descend from one: only these can be compared by deltas

    # --- Sequence

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self._leaves)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        positions = range(self._length)[index]
        if isinstance(positions, int):
            return self._leaves[positions // LEAF_ENTRIES][positions % LEAF_ENTRIES]
        start, stop = positions.start, positions.stop
        leaf = start // LEAF_ENTRIES
        if positions and positions.step == 1 and (stop - 1) // LEAF_ENTRIES == leaf:
            first = leaf * LEAF_ENTRIES
            return self._leaves[leaf][start - first : stop - first]
        return self.as_tuple[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EntryList | tuple):
            return self is other or self.as_tuple == tuple(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment] # hashing would be O(entries)

    @cached_property
    def as_tuple(self) -> Leaf:
        """All entries in one tuple, for callers that index many of them."""
        return tuple(self)

    # --- Lookup by UID

    def index_of(self, uid: Uid) -> int:
        """The index of the entry with this UID, or at which it would be inserted."""
        leaf = max(bisect_right(self._leaves, uid, key=_first_uid) - 1, 0)
        return leaf * LEAF_ENTRIES + bisect_left(self._leaves[leaf], uid, key=_uid) if self._leaves else 0

    def find(self, uid: Uid) -> Entry | None:
        """The entry with this UID, or None."""
        index = self.index_of(uid)
        return entry if index < self._length and (entry := self[index]).uid == uid else None

    # --- Change

    def after(self, modseq: ModSeq, changed: Iterable[Entry] = (), removed: Collection[Uid] = ()) -> "EntryList":
        """The state at a later modseq, with these entries changed or added and these UIDs removed."""
        delta = Delta(sorted(changed), frozenset(removed))
        state = object.__new__(EntryList)
        state.modseq = modseq
        state._leaves = self._leaves_after(delta)
        state._length = _count(state._leaves)
        is_logged = len(delta.changed) + len(delta.removed) <= MAX_DELTA_ENTRIES
        state._deltas = (*self._deltas[1 - MAX_DELTAS :], (self.modseq, delta)) if is_logged else ()
        state._lineage = self._lineage
        return state

    def delta_since(self, earlier: "EntryList") -> Delta | None:
        """The difference to an earlier state, which may remove UIDs that it did not have; None if it is not logged."""
        if earlier._lineage is not self._lineage or earlier.modseq > self.modseq:
            return None
        if earlier.modseq == self.modseq:
            return Delta()
        first = bisect_right(self._deltas, earlier.modseq, key=_base_modseq) - 1
        return None if first < 0 else _merge([delta for _, delta in self._deltas[first:]], earlier.modseq)

    def _leaves_after(self, delta: Delta) -> Sequence[Leaf]:
        replaced: dict[int, list[Entry]] = {}
        new: list[Entry] = []
        for entry in delta.changed:
            leaf, index = divmod(self.index_of(entry.uid), LEAF_ENTRIES)
            if (
                leaf < len(self._leaves)
                and index < len(self._leaves[leaf])
                and self._leaves[leaf][index].uid == entry.uid
            ):
                replaced.setdefault(leaf, list(self._leaves[leaf]))[index] = entry
            else:
                new.append(entry)
        leaves = list(self._leaves)
        for leaf, entries in replaced.items():
            leaves[leaf] = tuple(entries)
        if new or delta.removed:
            first = min(map(self.index_of, [*delta.removed, *map(_uid, new)])) // LEAF_ENTRIES
            _rebuild(leaves, first, new, delta.removed)
        return leaves


def _rebuild(leaves: list[Leaf], first: int, new: Sequence[Entry], removed: Collection[Uid]) -> None:
    """Insert and remove entries, rebuilding the leaves from the first that is affected."""
    rest = [entry for entry in chain.from_iterable(leaves[first:]) if entry.uid not in removed]
    in_order = not rest or not new or rest[-1].uid < new[0].uid
    leaves[first:] = _split((*rest, *new) if in_order else tuple(sorted([*rest, *new])))


def _merge(deltas: Iterable[Delta], modseq: ModSeq) -> Delta:
    """Several deltas as one, without entries that were already so at this modseq."""
    changed, removed = dict[Uid, Entry](), set[Uid]()
    for delta in deltas:
        changed.update((entry.uid, entry) for entry in delta.changed if entry.modseq > modseq)
        removed.update(delta.removed)
    return Delta(sorted(entry for uid, entry in changed.items() if uid not in removed), removed)


def _split(entries: Leaf) -> Sequence[Leaf]:
    return [entries[start : start + LEAF_ENTRIES] for start in range(0, len(entries), LEAF_ENTRIES)]


def _count(leaves: Sequence[Leaf]) -> int:
    return (len(leaves) - 1) * LEAF_ENTRIES + len(leaves[-1]) if leaves else 0
