"""A mailbox as one client knows it: which message has which number, and what it has not been told yet. Pure.

Numbers change only when the client is told (RFC 9051 §7.5.1), and that is forbidden while it may be using them: so a
view holds on to messages that are gone until it may say so. All views of a mailbox share the entries of one snapshot;
one has entries of its own only while it holds on to something.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import overload

from relate_imap.selected.recent import Uids
from relate_imap.selected.sequence_set import EMPTY, STAR, SequenceSet, make_set, resolve
from relate_mailstore.entry_list import Delta, EntryList
from relate_mailstore.keywords import key_of
from relate_mailstore.read_ahead import ReadAhead, prefetch
from relate_mailstore.types import Entry, Mailbox, Snapshot

_uid, _flags = attrgetter("uid"), attrgetter("flags")

Numbered = tuple[int, Entry]
"""A message number, and what it stands for."""


class Run(Sequence[Numbered]):
    """Messages that follow each other, numbered as they are looked at: a list of "1:*" costs 100 octets each."""

    __slots__ = ("_entries", "_first")

    def __init__(self, entries: Sequence[Entry], first: int) -> None:
        self._entries = entries
        self._first = first

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Numbered]:
        return enumerate(self._entries, self._first)

    @overload
    def __getitem__(self, place: int) -> Numbered: ...
    @overload
    def __getitem__(self, place: slice) -> "Run": ...
    def __getitem__(self, place: int | slice) -> "Numbered | Run":
        places = range(len(self._entries))[place]
        if isinstance(places, int):
            return self._first + places, self._entries[places]
        return Run(self._entries[places.start : places.stop], self._first + places.start)


@dataclass(frozen=True, slots=True)
class Update:
    """What the client is to be told, in this order: what is gone, how many there are, what has other flags.

    `expunged` are (number, UID) as the client numbers them before this, ascending; `exists` is None where nothing
    arrived; `changed` are numbered as they are after all of it.
    """

    expunged: tuple[tuple[int, int], ...] = ()
    exists: int | None = None
    arrived: tuple[Entry, ...] = ()
    changed: tuple[Numbered, ...] = ()


class View:
    """One client's view of its selected mailbox."""

    def __init__(self, snapshot: Snapshot, *, read_only: bool) -> None:
        self.snapshot = snapshot
        self._entries = snapshot.entries
        self.read_only = read_only
        self.recent_uids = EMPTY
        """Of the messages that are \\Recent in this session."""
        self.unsaved_recent = 0
        """Messages below this UID are so, and the store does not know; 0 where it knows all."""
        self._keywords = {key_of(keyword): keyword for keyword in snapshot.keywords}  # that the client was told of
        self._read = 0  # the UID of the message that was read last
        self._ahead = ReadAhead()
        self._flags: tuple[EntryList | None, bytes] = None, b""
        self._told: dict[int, int] = {}  # modseqs by UID: what the client knows beyond `entries`, of its own STOREs

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All messages, for who looks at many of them."""
        return self._entries.as_tuple

    @property
    def is_as_the_snapshot(self) -> bool:
        """Whether it holds on to nothing that the snapshot has no more."""
        return self._entries is self.snapshot.entries

    # --- numbers

    def number(self, uid: int) -> int | None:
        """The number of the message with this UID."""
        place = self._entries.index_of(uid)
        return place + 1 if place < len(self._entries) and self._entries[place].uid == uid else None

    def pick(self, numbers: SequenceSet, *, uid: bool) -> Sequence[Numbered]:
        """The messages with these numbers or UIDs, in order.

        UIDs of no message are left out (RFC 9051 §6.4.9); a number of none is the client's error. Raises IndexError.
        """
        return self._by_uid(numbers) if uid else self._by_number(numbers)

    def numbered(self, uids: Iterable[int]) -> Iterator[Numbered]:
        """Messages by their UIDs, those that are not there left out."""
        for uid in uids:
            number = self.number(uid)
            if number is not None:
                yield number, self._entries[number - 1]

    def uids_between(self, first: int, last: int) -> Iterator[int]:
        """The UIDs from first to last that there are."""
        place = self._entries.index_of
        return map(_uid, self._entries[place(first) : place(last + 1)])

    def _by_number(self, numbers: SequenceSet) -> Sequence[Numbered]:
        count = len(self._entries)
        if any((last > count and last != STAR) or (first > count and first != STAR) for first, last in numbers.ranges):
            raise IndexError("no such message")
        if not count:  # "*" in an empty mailbox (RFC 9051 §9: an error, but harmless and sent by many)
            return []
        return _joined([Run(self._entries[first - 1 : last], first) for first, last in resolve(numbers, count)])

    def _by_uid(self, numbers: SequenceSet) -> Sequence[Numbered]:
        if not self._entries:
            return []
        runs: list[Run] = []
        for first, last in resolve(numbers, self._entries[-1].uid):
            start, stop = self._entries.index_of(first), self._entries.index_of(last + 1)
            runs.append(Run(self._entries[start:stop], start + 1))
        return _joined(runs)

    def add_recent(self, uids: Uids) -> None:
        """This session is the first that is told of these messages (RFC 3501 §2.3.2)."""
        if uids.first < uids.stop:
            self.recent_uids = make_set([*self.recent_uids.ranges, (uids.first, uids.stop - 1)])

    @property
    def flags(self) -> bytes:
        """The system flags of all messages, an octet each, for searches: gathered once a change."""
        if self._flags[0] is not self._entries:
            self._flags = self._entries, bytes(map(_flags, self._entries))
        return self._flags[1]

    @property
    def recent(self) -> int:
        """How many messages are \\Recent."""
        place = self._entries.index_of
        return sum(place(last + 1) - place(first) for first, last in self.recent_uids.ranges)

    @property
    def keywords(self) -> Sequence[str]:
        """The keywords that the client knows, in order."""
        return sorted(self._keywords.values())

    def learn_keywords(self, entries: Iterable[Entry]) -> bool:
        """Whether there are keywords in these entries that the client does not know; from now on it does."""
        before = len(self._keywords)
        for keyword in chain.from_iterable({entry.keywords for entry in entries}):
            self._keywords.setdefault(key_of(keyword), keyword)
        return len(self._keywords) > before

    @prefetch
    def upcoming(self, first: int, last: int) -> Sequence[Numbered]:
        """The messages to prefetch while the client is sent these: one that reads in order will go on."""
        in_order = first == self._entries.index_of(self._read + 1) + 1
        self._read = self._entries[last - 1].uid
        numbers = self._ahead.after(self._entries, last) if in_order else range(0)
        return Run(self._entries[numbers.start - 1 : numbers.stop - 1], numbers.start) if numbers else ()

    # --- change

    def tell(self, entries: Iterable[Entry]) -> None:
        """The client is being told of these by the command under way: `advance` need not."""
        self._told.update((entry.uid, entry.modseq) for entry in entries)

    def has_told(self, snapshot: Snapshot) -> bool:
        """Whether the client knows all of this snapshot already."""
        return snapshot is self.snapshot and self.is_as_the_snapshot and not self._told

    def gone(self, snapshot: Snapshot) -> Collection[int]:
        """UIDs of messages that the client numbers, and that a later snapshot has no more."""
        return () if snapshot is self.snapshot and self.is_as_the_snapshot else self._since(snapshot).removed

    def advance(self, snapshot: Snapshot, *, may_expunge: bool) -> Update:
        """Take over a later snapshot of the mailbox; what the client is to be told of it now."""
        before, now = self.snapshot.mailbox, snapshot.entries
        changed, gone = self._since(snapshot)
        expunged = tuple((number, uid) for uid in sorted(gone) if (number := self.number(uid)) is not None)
        arrived = tuple(entry for entry in changed if entry.uid >= before.uid_next)
        self.snapshot = snapshot
        if expunged and not may_expunge:
            self._entries = _hold_on(self._entries, now, arrived)
            expunged = ()
        else:
            self._entries = now
        news = [entry for entry in changed if entry.uid < before.uid_next and not self._knows(entry)]
        self._told.clear()
        exists = len(self._entries) if arrived else None
        return Update(expunged, exists, arrived, tuple(self.numbered_entries(news)))

    def numbered_entries(self, entries: Iterable[Entry]) -> Iterator[Numbered]:
        """These entries with their numbers, those that are not there left out."""
        for entry in entries:
            number = self.number(entry.uid)
            if number is not None:
                yield number, entry

    def _knows(self, entry: Entry) -> bool:
        return bool(self._told) and self._told.get(entry.uid) == entry.modseq

    def _since(self, snapshot: Snapshot) -> Delta:
        """What happened in the mailbox since this client's snapshot; if it holds on to more, that is gone since."""
        before, now = self.snapshot, snapshot.entries
        turn = now.delta_since(self._entries)
        return _compare(self._entries, before.mailbox, now) if turn is None else turn


def _compare(known: EntryList, before: Mailbox, now: EntryList) -> Delta:
    """What happened to what a client knows, found by comparing."""
    first_new = now.index_of(before.uid_next)
    changed = [entry for entry in now[:first_new] if entry.modseq > before.highest_modseq]
    # UIDs are never used again: as many as before are the same as before.
    gone = () if first_new == len(known) else {entry.uid for entry in known}.difference(map(_uid, now))
    return Delta([*changed, *now[first_new:]], gone)


def _joined(runs: Sequence[Run]) -> Sequence[Numbered]:
    """All of them, one after the other."""
    return runs[0] if len(runs) == 1 else list(chain.from_iterable(runs))


def _hold_on(known: EntryList, now: EntryList, arrived: Iterable[Entry]) -> EntryList:
    """What the client knows, gone or not, as it is now; and what arrived."""
    current = {entry.uid: entry for entry in now}
    return EntryList(chain((current.get(entry.uid, entry) for entry in known), arrived))
