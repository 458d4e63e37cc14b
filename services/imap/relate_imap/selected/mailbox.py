"""The selected mailbox of one client: its message numbers, and the changes that the client has not been sent yet. Pure.

Message numbers change only when an EXPUNGE or VANISHED response is sent (RFC 9051 §7.5.1), which is forbidden while
the client may be using numbers. Until then a `SelectedMailbox` keeps the expunged messages. All sessions that have
selected a mailbox share the entries of one snapshot; only one that keeps expunged messages has a copy.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import overload

from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import EMPTY, STAR, SequenceSet, make_set, resolve
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.keywords import key_of
from relate_mailstore.read_ahead import ReadAhead, prefetch
from relate_mailstore.types import Entry, Mailbox, ModSeq, Snapshot, Uid

_uid, _flags = attrgetter("uid"), attrgetter("flags")

NumberedEntry = tuple[int, Entry]
"""A message number and the message's entry."""


class NumberedSlice(Sequence[NumberedEntry]):
    """Consecutive messages, numbered on access, because a list of the pairs of "1:*" would cost 100 octets each."""

    __slots__ = ("_entries", "_first")

    def __init__(self, entries: Sequence[Entry], first: int) -> None:
        self._entries = entries
        self._first = first

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[NumberedEntry]:
        return enumerate(self._entries, self._first)

    @overload
    def __getitem__(self, index: int) -> NumberedEntry: ...
    @overload
    def __getitem__(self, index: slice) -> "NumberedSlice": ...
    def __getitem__(self, index: int | slice) -> "NumberedEntry | NumberedSlice":
        positions = range(len(self._entries))[index]
        if isinstance(positions, int):
            return self._first + positions, self._entries[positions]
        return NumberedSlice(self._entries[positions.start : positions.stop], self._first + positions.start)


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
        self._flag_octets: tuple[EntryList | None, bytes] = None, b""
        self._announced: dict[Uid, ModSeq] = {}
        """Modseqs, by UID, that the client was sent and `_entries` does not have yet."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All messages as a tuple, which is faster to iterate over."""
        return self._entries.as_tuple

    @property
    def matches_snapshot(self) -> bool:
        """Whether it keeps no messages that are expunged from the snapshot."""
        return self._entries is self.snapshot.entries

    # --- numbers

    def number_of(self, uid: Uid) -> int | None:
        """The number of the message with this UID; None if there is none."""
        position = self._entries.index_of(uid)
        return position + 1 if position < len(self._entries) and self._entries[position].uid == uid else None

    def messages_in(self, sequence_set: SequenceSet, *, uid: bool) -> Sequence[NumberedEntry]:
        """The messages with these numbers or UIDs, in order.

        UIDs without a message are ignored (RFC 9051 §6.4.9). Raises IndexError for a number without a message.
        """
        return self._by_uid(sequence_set) if uid else self._by_number(sequence_set)

    def with_uids(self, uids: Iterable[Uid]) -> Iterator[NumberedEntry]:
        """The messages with these UIDs, without those that do not exist."""
        for uid in uids:
            number = self.number_of(uid)
            if number is not None:
                yield number, self._entries[number - 1]

    def uids_between(self, first: Uid, last: Uid) -> Iterator[Uid]:
        """The existing UIDs from `first` to `last`, both included."""
        position = self._entries.index_of
        return map(_uid, self._entries[position(first) : position(Uid(last + 1))])

    def _by_number(self, numbers: SequenceSet) -> Sequence[NumberedEntry]:
        count = len(self._entries)
        if any((last > count and last != STAR) or (first > count and first != STAR) for first, last in numbers.ranges):
            raise IndexError("no such message")
        if not count:  # "*" in an empty mailbox: an error by RFC 9051 §9, but harmless, and many clients send it
            return []
        return _concatenate(
            [NumberedSlice(self._entries[first - 1 : last], first) for first, last in resolve(numbers, count)]
        )

    def _by_uid(self, uids: SequenceSet) -> Sequence[NumberedEntry]:
        if not self._entries:
            return []
        slices: list[NumberedSlice] = []
        for first, last in resolve(uids, self._entries[-1].uid):
            start, stop = self._entries.index_of(first), self._entries.index_of(Uid(last + 1))
            slices.append(NumberedSlice(self._entries[start:stop], start + 1))
        return _concatenate(slices)

    def add_recent(self, uids: UidRange) -> None:
        """Mark messages as \\Recent: this session is the first one that is notified of them (RFC 3501 §2.3.2)."""
        if uids.first < uids.stop:
            self.recent_uids = make_set([*self.recent_uids.ranges, (uids.first, uids.stop - 1)])

    @property
    def flag_octets(self) -> bytes:
        """The system flags of all messages for searches, one octet each; computed once per change."""
        if self._flag_octets[0] is not self._entries:
            self._flag_octets = self._entries, bytes(map(_flags, self._entries))
        return self._flag_octets[1]

    @property
    def recent_count(self) -> int:
        """The number of \\Recent messages."""
        position = self._entries.index_of
        return sum(position(Uid(last + 1)) - position(Uid(first)) for first, last in self.recent_uids.ranges)

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
        in_order = first == self._entries.index_of(Uid(self._last_read_uid + 1)) + 1
        self._last_read_uid = self._entries[last - 1].uid
        numbers = self._read_ahead.after(self._entries, last) if in_order else range(0)
        return NumberedSlice(self._entries[numbers.start - 1 : numbers.stop - 1], numbers.start) if numbers else ()

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
            self._entries = _keep_expunged(self._entries, now, arrived)
            expunged = ()
        else:
            self._entries = now
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
        delta = now.delta_since(self._entries)
        return _compare(self._entries, before.mailbox, now) if delta is None else delta


def _compare(known: EntryList, before: Mailbox, now: EntryList) -> Delta:
    """The delta between two lists that share no change log, found by comparison."""
    first_new = now.index_of(before.uid_next)
    changed = [entry for entry in now[:first_new] if entry.modseq > before.highest_modseq]
    # UIDs are never reused: if the count is unchanged, so are the messages.
    gone = () if first_new == len(known) else {entry.uid for entry in known}.difference(map(_uid, now))
    return Delta([*changed, *now[first_new:]], gone)


def _concatenate(slices: Sequence[NumberedSlice]) -> Sequence[NumberedEntry]:
    return slices[0] if len(slices) == 1 else list(chain.from_iterable(slices))


def _keep_expunged(known: EntryList, now: EntryList, arrived: Iterable[Entry]) -> EntryList:
    """The messages that the client numbers, expunged or not, with their current flags; then the new ones."""
    current = {entry.uid: entry for entry in now}
    return EntryList(chain((current.get(entry.uid, entry) for entry in known), arrived))
