"""The entries of a mailbox, in UID order: a value, whose next state costs what changes and not what there is.

Entries lie in leaves of equal size, and a state shares with the one before all leaves but those that changed. It also
remembers the last changes, so that whoever knows an earlier state need not compare.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple, overload

if TYPE_CHECKING:
    from relate_mailstore.types import Entry

LEAF = 128  # a change among 10,000 entries copies 128 of them, and pointers to 79 leaves
MAX_DELTAS = 64  # that are remembered: more than there are between two commands of a client at work
TURN_ENTRIES = 64  # a turn of more is not remembered, nor what was before it: comparing takes no longer

Leaf = tuple["Entry", ...]

_uid = attrgetter("uid")
_before = itemgetter(0)


def _first_uid(leaf: Leaf) -> int:
    return leaf[0].uid


class Delta(NamedTuple):
    """What happened between two states: entries that are new or changed, in UID order, and UIDs that are gone."""

    changed: Sequence["Entry"] = ()
    gone: Collection[int] = frozenset()


class EntryList(Sequence["Entry"]):
    """Entries in UID order, as of a modseq."""

    def __init__(self, entries: Iterable["Entry"] = (), modseq: int = 0) -> None:
        self.modseq = modseq
        self._leaves = _leaves(tuple(entries))
        self._length = _length(self._leaves)
        self._turns: tuple[tuple[int, Delta], ...] = ()  # each with the modseq before it
        self._origin = object()  # the same for all states that came of one

    # --- a sequence

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator["Entry"]:
        return chain.from_iterable(self._leaves)

    @overload
    def __getitem__(self, place: int) -> "Entry": ...
    @overload
    def __getitem__(self, place: slice) -> Sequence["Entry"]: ...
    def __getitem__(self, place: int | slice) -> "Entry | Sequence[Entry]":
        places = range(self._length)[place]
        if isinstance(places, int):
            return self._leaves[places // LEAF][places % LEAF]
        leaf = places.start // LEAF
        if places and places.step == 1 and (places.stop - 1) // LEAF == leaf:
            return self._leaves[leaf][places.start - leaf * LEAF : places.stop - leaf * LEAF]
        return self.whole[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, EntryList | tuple):
            return self is other or self.whole == tuple(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment] # as long as its entries: nobody should want it

    @cached_property
    def whole(self) -> Leaf:
        """All of them at once, for who looks at many by their places."""
        return tuple(self)

    # --- by UID

    def place(self, uid: int) -> int:
        """Where the entry with this UID is, or would be."""
        leaf = max(bisect_right(self._leaves, uid, key=_first_uid) - 1, 0)
        return leaf * LEAF + bisect_left(self._leaves[leaf], uid, key=_uid) if self._leaves else 0

    def find(self, uid: int) -> "Entry | None":
        """The entry with this UID."""
        place = self.place(uid)
        return entry if place < self._length and (entry := self[place]).uid == uid else None

    # --- change

    def after(self, modseq: int, changed: Iterable["Entry"] = (), gone: Collection[int] = ()) -> "EntryList":
        """The state at a later modseq: some entries changed or new, others gone."""
        turn = Delta(sorted(changed), frozenset(gone))
        state = object.__new__(EntryList)
        state.modseq = modseq
        state._leaves = self._leaves_after(turn)
        state._length = _length(state._leaves)
        remembered = len(turn.changed) + len(turn.gone) <= TURN_ENTRIES
        state._turns = (*self._turns[1 - MAX_DELTAS :], (self.modseq, turn)) if remembered else ()
        state._origin = self._origin
        return state

    def since(self, earlier: "EntryList") -> Delta | None:
        """What happened since an earlier state, UIDs that it knew nothing of included; None if that was forgotten."""
        if earlier._origin is not self._origin or earlier.modseq > self.modseq:
            return None
        if earlier.modseq == self.modseq:
            return Delta()
        first = bisect_right(self._turns, earlier.modseq, key=_before) - 1
        return None if first < 0 else _together([turn for _, turn in self._turns[first:]], earlier.modseq)

    def _leaves_after(self, turn: Delta) -> Sequence[Leaf]:
        replaced: dict[int, list[Entry]] = {}
        new: list[Entry] = []
        for entry in turn.changed:
            leaf, place = divmod(self.place(entry.uid), LEAF)
            if (
                leaf < len(self._leaves)
                and place < len(self._leaves[leaf])
                and self._leaves[leaf][place].uid == entry.uid
            ):
                replaced.setdefault(leaf, list(self._leaves[leaf]))[place] = entry
            else:
                new.append(entry)
        leaves = list(self._leaves)
        for leaf, entries in replaced.items():
            leaves[leaf] = tuple(entries)
        if new or turn.gone:
            _fit(leaves, min(map(self.place, [*turn.gone, *map(_uid, new)])) // LEAF, new, turn.gone)
        return leaves


def _fit(leaves: list[Leaf], first: int, new: Sequence["Entry"], gone: Collection[int]) -> None:
    """Let entries in and out, from the first leaf on where they are: all behind that come to lie elsewhere."""
    rest = [entry for entry in chain.from_iterable(leaves[first:]) if entry.uid not in gone]
    in_order = not rest or not new or rest[-1].uid < new[0].uid
    leaves[first:] = _leaves((*rest, *new) if in_order else tuple(sorted([*rest, *new])))


def _together(turns: Iterable[Delta], modseq: int) -> Delta:
    """Several turns as one, without what was so at this modseq."""
    changed, gone = dict[int, "Entry"](), set[int]()
    for turn in turns:
        changed.update((entry.uid, entry) for entry in turn.changed if entry.modseq > modseq)
        gone.update(turn.gone)
    return Delta(sorted(entry for uid, entry in changed.items() if uid not in gone), gone)


def _leaves(entries: Leaf) -> Sequence[Leaf]:
    return [entries[start : start + LEAF] for start in range(0, len(entries), LEAF)]


def _length(leaves: Sequence[Leaf]) -> int:
    return (len(leaves) - 1) * LEAF + len(leaves[-1]) if leaves else 0
