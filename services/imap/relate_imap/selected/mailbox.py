"""The selected mailbox of one client: its message numbers, and the changes that the client has not been sent yet. Pure.

Message numbers change only when an EXPUNGE or VANISHED response is sent (RFC 9051 §7.5.1), which is forbidden while
the client may be using numbers. Until then a `SelectedMailbox` keeps the expunged messages. All sessions that have
selected a mailbox share the entries of one snapshot; one that keeps expunged messages adds those.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, overload

from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import EMPTY, STAR, SequenceSet, make_set, resolve
from relate_mailstore.entry_columns import EntryColumns, NumberField
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.keywords import key_of
from relate_mailstore.read_ahead import ReadAhead, prefetch
from relate_mailstore.types import Entry, Mailbox, ModSeq, Snapshot, Uid

NumberedEntry = tuple[int, Entry]
"""A message number and the message's entry."""


class NumberedEntries(Sequence[NumberedEntry]):
    """Messages of a mailbox by their positions, which are numbers less 1; an entry is made when it is read."""

    __slots__ = ("entries", "positions")

    def __init__(self, entries: EntryList, positions: Sequence[int]) -> None:
        self.entries = entries
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[NumberedEntry]:
        if isinstance(self.positions, range):
            return enumerate(self.entries.between(self.positions.start, self.positions.stop), self.positions.start + 1)
        return zip(self.numbers, self.columns, strict=True)

    @overload
    def __getitem__(self, index: int) -> NumberedEntry: ...
    @overload
    def __getitem__(self, index: slice) -> "NumberedEntries": ...
    def __getitem__(self, index: int | slice) -> "NumberedEntry | NumberedEntries":
        if isinstance(index, slice):
            return self.at(self.positions[index])
        position = self.positions[index]
        return position + 1, self.entries[position]

    @property
    def numbers(self) -> Sequence[int]:
        """The message numbers."""
        if isinstance(self.positions, range):
            return range(self.positions.start + 1, self.positions.stop + 1)
        return [position + 1 for position in self.positions]

    @property
    def columns(self) -> EntryColumns:
        """The entries of these messages."""
        return self.entries.pick(self.positions)

    @property
    def uids(self) -> list[Uid]:
        """The UIDs of the messages."""
        return [*self._column("uid")]

    @property
    def sizes(self) -> Sequence[int]:
        """The octets of each message."""
        return self._column("size")

    def at(self, positions: Sequence[int]) -> "NumberedEntries":
        """The messages at these positions instead."""
        return NumberedEntries(self.entries, positions)

    def changed_since(self, modseq: ModSeq) -> "NumberedEntries":
        """Those with a later modseq."""
        changed = self.entries.changed_since(modseq)
        among = self.positions if isinstance(self.positions, range) else frozenset(self.positions)
        return self.at([position for position in changed if position in among])

    def with_changed(self, entries: Iterable[Entry]) -> "NumberedEntries":
        """The same messages after a change of some of them."""
        return NumberedEntries(self.entries.after(self.entries.modseq, entries), self.positions)

    def _column(self, name: NumberField) -> Sequence[Any]:
        """One field of these messages, without copying the others of consecutive ones."""
        if isinstance(self.positions, range):
            return self.entries.column(name, self.positions.start, self.positions.stop)
        column: Sequence[Any] = getattr(self.columns, name)
        return column


@dataclass(frozen=True, slots=True)
class Update:
    """Changes to send to the client, in this order: expunged messages, the new count, new flags.

    `expunged` are (number, UID), ascending, numbered as before this update; `exists` is None if no message arrived;
    `changed` are numbered as after this update.
    """

    expunged: tuple[tuple[int, Uid], ...] = ()
    exists: int | None = None
    arrived: tuple[Entry, ...] = ()
    changed: tuple[NumberedEntry, ...] = ()


class SelectedMailbox:
    """The mailbox that one client has selected, numbered as the client numbers it."""

    def __init__(self, snapshot: Snapshot, *, read_only: bool) -> None:
        self.snapshot = snapshot
        self._entries = snapshot.entries
        self.read_only = read_only
        self.recent_uids = EMPTY
        """UIDs of the messages that are \\Recent in this session."""
        self.unsaved_recent_stop = NO_UID
        """Messages below this UID are \\Recent here and still recent in the store; 0 if the store is up to date."""
        self._keywords = {key_of(keyword): keyword for keyword in snapshot.keywords}  # announced to the client
        self._last_read_uid = NO_UID
        self._read_ahead = ReadAhead()
        self._kept_uids: frozenset[Uid] = frozenset()
        """UIDs of the messages that the client numbers and that are expunged from the snapshot."""
        self._announced: dict[Uid, ModSeq] = {}
        """Modseqs, by UID, that the client was sent and `_entries` does not have yet."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> EntryList:
        """All messages that the client numbers."""
        return self._entries

    @property
    def matches_snapshot(self) -> bool:
        """Whether it keeps no messages that are expunged from the snapshot."""
        return not self._kept_uids

    # --- numbers

    def number_of(self, uid: Uid) -> int | None:
        """The number of the message with this UID; None if there is none."""
        position = self._entries.position_of(uid)
        return None if position is None else position + 1

    def messages_in(self, sequence_set: SequenceSet, *, uid: bool) -> NumberedEntries:
        """The messages with these numbers or UIDs, in order.

        UIDs without a message are ignored (RFC 9051 §6.4.9). Raises IndexError for a number without a message.
        """
        ranges = self._ranges_of_uids(sequence_set) if uid else self._ranges_of_numbers(sequence_set)
        return NumberedEntries(self._entries, _concatenate(ranges))

    def with_uids(self, uids: Iterable[Uid]) -> NumberedEntries:
        """The messages with these UIDs, without those that do not exist."""
        positions = map(self._entries.position_of, uids)
        return NumberedEntries(self._entries, [position for position in positions if position is not None])

    def changed_since(self, modseq: ModSeq) -> NumberedEntries:
        """The messages with a later modseq."""
        return NumberedEntries(self._entries, [*self._entries.changed_since(modseq)])

    def uids_between(self, first: Uid, last: Uid) -> Iterator[Uid]:
        """The existing UIDs from `first` to `last`, both included."""
        position = self._entries.index_of
        return iter(self._entries.column("uid", position(first), position(last + 1)))

    def _ranges_of_numbers(self, numbers: SequenceSet) -> Sequence[range]:
        count = len(self._entries)
        if any((last > count and last != STAR) or (first > count and first != STAR) for first, last in numbers.ranges):
            raise IndexError("no such message")
        if not count:  # "*" in an empty mailbox: an error by RFC 9051 §9, but harmless, and many clients send it
            return []
        return [range(first - 1, last) for first, last in resolve(numbers, count)]

    def _ranges_of_uids(self, uids: SequenceSet) -> Sequence[range]:
        if not self._entries:
            return []
        position = self._entries.index_of
        return [range(position(first), position(last + 1)) for first, last in resolve(uids, self._entries[-1].uid)]

    def add_recent(self, uids: UidRange) -> None:
        """Mark messages as \\Recent: this session is the first one that is notified of them (RFC 3501 §2.3.2)."""
        if uids.first < uids.stop:
            self.recent_uids = make_set([*self.recent_uids.ranges, (uids.first, uids.stop - 1)])

    @property
    def recent_count(self) -> int:
        """The number of \\Recent messages."""
        position = self._entries.index_of
        return sum(position(last + 1) - position(first) for first, last in self.recent_uids.ranges)

    @property
    def keywords(self) -> Sequence[str]:
        """The keywords that were announced to the client, sorted."""
        return sorted(self._keywords.values())

    def announce_keywords(self, entries: Iterable[Entry]) -> bool:
        """Add the keywords of these entries to the announced ones; returns whether any was new."""
        before = len(self._keywords)
        for keyword in chain.from_iterable({entry.keywords for entry in entries}):
            self._keywords.setdefault(key_of(keyword), keyword)
        return len(self._keywords) > before

    @prefetch
    def prefetch_candidates(self, first: int, last: int) -> Sequence[NumberedEntry]:
        """The messages to prefetch while `first` to `last` are sent: the next ones, if the client reads in order."""
        in_order = first == self._entries.index_of(self._last_read_uid + 1) + 1
        self._last_read_uid = self._entries.uid_at(last - 1)
        numbers = self._read_ahead.after(self._entries, last) if in_order else range(0)
        return NumberedEntries(self._entries, range(numbers.start - 1, numbers.stop - 1))

    # --- changes

    def mark_announced(self, entries: Iterable[Entry]) -> None:
        """Note entries that the current command sends to the client, so that `advance` leaves them out."""
        self._announced.update((entry.uid, entry.modseq) for entry in entries)

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether there is nothing in this snapshot that the client was not sent."""
        return snapshot is self.snapshot and self.matches_snapshot and not self._announced

    def expunged_uids(self, snapshot: Snapshot) -> Collection[Uid]:
        """UIDs of the messages that the client still numbers and that are expunged from a later snapshot."""
        return () if snapshot is self.snapshot and self.matches_snapshot else self._delta(snapshot).removed

    def advance(self, snapshot: Snapshot, *, may_expunge: bool) -> Update:
        """Adopt a later snapshot; returns the changes to send to the client now."""
        before, now = self.snapshot.mailbox, snapshot.entries
        changed, gone = self._delta(snapshot)
        expunged = tuple((number, uid) for uid in sorted(gone) if (number := self.number_of(uid)) is not None)
        arrived = tuple(entry for entry in changed if entry.uid >= before.uid_next)
        self.snapshot = snapshot
        if expunged and not may_expunge:
            self._entries = now.with_entries(self._entries[number - 1] for number, _ in expunged)
            self._kept_uids = frozenset(uid for _, uid in expunged)
            expunged = ()
        else:
            self._entries, self._kept_uids = now, frozenset()
        unannounced = [entry for entry in changed if entry.uid < before.uid_next and not self._is_announced(entry)]
        self._announced.clear()
        exists = len(self._entries) if arrived else None
        return Update(expunged, exists, arrived, tuple(self.number_entries(unannounced)))

    def number_entries(self, entries: Iterable[Entry]) -> Iterator[NumberedEntry]:
        """These entries with their numbers, without those that the client does not number."""
        for entry in entries:
            number = self.number_of(entry.uid)
            if number is not None:
                yield number, entry

    def _is_announced(self, entry: Entry) -> bool:
        return bool(self._announced) and self._announced.get(entry.uid) == entry.modseq

    def _delta(self, snapshot: Snapshot) -> Delta:
        """The changes from this client's entries, kept expunged messages included, to a later snapshot."""
        before, now = self.snapshot, snapshot.entries
        delta = now.delta_since(before.entries)
        if delta is None:
            delta = _compare(before.entries, before.mailbox, now)
        return delta._replace(removed=self._kept_uids.union(delta.removed)) if self._kept_uids else delta


def _compare(known: EntryList, before: Mailbox, now: EntryList) -> Delta:
    """The delta between two lists that share no change log, found by comparison."""
    first_new = now.index_of(before.uid_next)
    changed = [now[position] for position in now.changed_since(before.highest_modseq) if position < first_new]
    # UIDs are never reused: if the count is unchanged, so are the messages.
    gone = () if first_new == len(known) else set(known.column("uid")).difference(now.column("uid"))
    return Delta([*changed, *now.cut(first_new, len(now))], gone)


def _concatenate(ranges: Sequence[range]) -> Sequence[int]:
    return ranges[0] if len(ranges) == 1 else array("I", chain.from_iterable(ranges))
