"""A mailbox in memory, and the messages that are entered into it.

Values are replaced, never changed in place, and every change of a mailbox ends in `MemoryMailbox.advance`: it raises
the modseq and tells the readers.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import NamedTuple

from relate_mailstore.entry_list import EntryList
from relate_mailstore.keywords import one_spelling
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.rules import (
    change_entry,
    give_out,
    name_order,
    search_text,
    summary_texts,
    thread_id,
)
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.types import (
    Entry,
    FlagChange,
    Flagged,
    Listed,
    Mailbox,
    MailboxNotice,
    Message,
    Rendering,
    Snapshot,
    Summary,
)

TOMBSTONES = 100_000  # of a mailbox: the last UIDs that were expunged

Tell = Callable[[Iterable[MailboxNotice]], None]


class Marks(NamedTuple):
    """What a mailbox adds to a message that is entered into it."""

    flags: int
    keywords: tuple[str, ...]
    internal_date: int


class MemoryMailbox:
    """A mailbox and its entries by UID, ascending."""

    def __init__(self, state: Mailbox, tell: Tell) -> None:
        self.state = state
        self.entries: dict[int, Entry] = {}
        self._tell = tell
        self._snapshot = Snapshot(state, EntryList())
        self._expunged: dict[int, int] = {}  # by UID: the modseq of its removal
        self._horizon = 0  # the modseq up to which it is not known who was expunged

    def snapshot(self) -> Snapshot:
        """The mailbox and its entries: the same object until something changes."""
        known = self._snapshot
        if known.mailbox is not self.state:
            self._snapshot = Snapshot(self.state, self._entries_after(known.entries))
        return self._snapshot

    def enter(self, message: Message, marks: Marks) -> int:
        """Enter a message; its UID. Raises MailboxFull."""
        uid, size, now = give_out(self.state.uid_next), message.index.size, int(time.time())
        flags, keywords, internal_date = int(marks.flags), marks.keywords, marks.internal_date
        self.entries[uid] = Entry(uid, message.id, size, flags, keywords, internal_date, self._next_modseq, now)
        self.advance(arrived=1, octets=size, origin=message.origin)
        return uid

    def set_flags(self, uids: Collection[int], change: FlagChange, unchanged_since: int | None = None) -> Flagged:
        """Change flags of entries."""
        present = [self.entries[uid] for uid in self._present(uids)]
        modified = {entry.uid for entry in present if unchanged_since is not None and entry.modseq > unchanged_since}
        changed = [
            entry if entry.uid in modified else change_entry(entry, change, self._next_modseq) for entry in present
        ]
        if changed != present:
            self.entries.update((entry.uid, entry) for entry in changed)
            self.advance()
        return Flagged(tuple(changed), tuple(sorted(modified)))

    def remove(self, uids: Collection[int]) -> list[Entry]:
        """Remove entries; those that were there, by UID."""
        removed = [self.entries.pop(uid) for uid in self._present(uids)]
        if removed:
            self._expunged.update((entry.uid, self._next_modseq) for entry in removed)
            self._trim_tombstones()
            self.advance(octets=-sum(entry.size for entry in removed))
        return removed

    def vanished(self, modseq: int) -> list[int] | None:
        """UIDs removed after `modseq`; None where that is beyond the horizon."""
        if modseq < self._horizon:
            return None
        return sorted(uid for uid, removed in self._expunged.items() if removed > modseq)

    def take_recent(self, until: int | None) -> int:
        """The first UID that was not taken before; those below `until` are now."""
        first, uid_next = self.state.recent, self.state.uid_next
        taken = uid_next if until is None else min(until, uid_next)
        if first < taken:
            self.state = replace(self.state, recent=taken)
        return first

    def advance(self, arrived: int = 0, octets: int = 0, origin: str | None = None, name: str | None = None) -> None:
        """Bring the state up to date after a change, and tell of it."""
        self.state = replace(
            self.state,
            name=self.state.name if name is None else name,
            uid_next=self.state.uid_next + arrived,
            highest_modseq=self._next_modseq,
            messages=len(self.entries),
            octets=self.state.octets + octets,
        )
        state = self.state
        self._tell([MailboxNotice(state.account_id, state.id, state.highest_modseq, origin, time.time())])

    def _entries_after(self, known: EntryList) -> EntryList:
        changed = [entry for entry in self.entries.values() if entry.modseq > known.modseq]
        gone = [entry.uid for entry in known if entry.uid not in self.entries]
        return known.after(self.state.highest_modseq, changed, gone)

    def _trim_tombstones(self) -> None:
        while len(self._expunged) > TOMBSTONES:  # a dictionary is in the order of its insertions
            self._horizon = self._expunged.pop(next(iter(self._expunged)))

    def _present(self, uids: Collection[int]) -> list[int]:
        return sorted(self.entries.keys() & set(uids))

    @property
    def _next_modseq(self) -> int:
        return self.state.highest_modseq + 1


@dataclass(slots=True)
class Held:
    """A message of an account, and the mailboxes and UIDs it is entered under; without any it is gone."""

    message: Message
    raw: bytes
    places: list[tuple[MemoryMailbox, int]] = field(default_factory=list)
    _text: SearchText | None = None

    def listed(self) -> Listed:
        """The message with its flags over all places."""
        entries = [mailbox.entries[uid] for mailbox, uid in self.places]
        return Listed(
            self.message,
            flags=reduce(or_, (entry.flags for entry in entries)),
            keywords=one_spelling(sorted(keyword for entry in entries for keyword in entry.keywords)),
            mailboxes=tuple(sorted({mailbox.state.name for mailbox, _ in self.places}, key=name_order)),
        )

    def open(self) -> MemoryRawMessage:
        """The raw message, for reading."""
        return MemoryRawMessage(self.raw, self.message.origin)

    def rendering(self) -> Rendering:
        """What FETCH answers without opening it."""
        index = self.message.index
        return Rendering(index.envelope, index.bodystructure, index.preview, self._thread, self.message.origin)

    def header(self) -> bytes:
        """The raw header."""
        return self.raw[: self.message.index.parts[0].body]

    def summary(self) -> Summary:
        """What SEARCH, SORT and THREAD look at."""
        index = self.message.index
        texts = summary_texts(search_text(index))
        return Summary(*texts, index.date, index.zone, index.message_id, index.references, self._thread)

    def text(self) -> SearchText:
        """What is searched for text, made when it is first asked for."""
        if self._text is None:
            self._text = message_text(self.raw, self.message.index.parts)
        return self._text

    @property
    def _thread(self) -> str:
        index = self.message.index
        return thread_id(index.references, index.message_id, self.message.id)
