"""A mailbox in memory, and the messages that are entered in it.

Values are replaced, never changed in place. Every change of a mailbox ends in `MemoryMailbox.advance`, which raises
the modseq and notifies the listeners.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from relate_mailstore.entry_list import EntryList
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.identifiers import NO_MODSEQ, allocate_uid, thread_id
from relate_mailstore.listing import PlacedEntry, merge_entries
from relate_mailstore.live_types import END_UID, ChangeSpan, MailboxChange
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.search_text import SearchText, message_text
from relate_mailstore.summary_text import split_summary_text, summary_text
from relate_mailstore.types import (
    Entry,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxNotice,
    Message,
    ModSeq,
    Rendering,
    Snapshot,
    Summary,
    Uid,
)

MAX_TOMBSTONES = 100_000  # per mailbox: expunged UIDs that `vanished` can return

Notify = Callable[[Iterable[MailboxNotice]], None]


class MessageAttributes(NamedTuple):
    """The message attributes that an entry adds to the message (RFC 9051 §2.3)."""

    flags: int
    keywords: tuple[str, ...]
    internal_date: int


class MemoryMailbox:
    """A mailbox and its entries by UID, ascending."""

    def __init__(self, state: Mailbox, notify: Notify) -> None:
        self.state = state
        self.entries: dict[Uid, Entry] = {}
        self._notify = notify
        self._snapshot = Snapshot(state, EntryList())
        self._expunged: dict[Uid, ModSeq] = {}  # by UID: the modseq of its removal
        self._horizon = NO_MODSEQ  # the modseq up to which tombstones were dropped

    def snapshot(self) -> Snapshot:
        """The mailbox and its entries; the same object until one of them changes."""
        last = self._snapshot
        if last.mailbox is not self.state:
            self._snapshot = Snapshot(self.state, self._entries_after(last.entries))
        return self._snapshot

    def enter(self, message: Message, attributes: MessageAttributes) -> Uid:
        """Enter a message and return its UID. Raises MailboxFull."""
        uid, size, now = allocate_uid(self.state.uid_next), message.index.size, int(time.time())
        flags, keywords, internal_date = int(attributes.flags), attributes.keywords, attributes.internal_date
        self.entries[uid] = Entry(uid, message.id, size, flags, keywords, internal_date, self._next_modseq, now)
        self.advance(arrived=1, octets=size, origin=message.origin)
        return uid

    def set_flags(self, uids: Collection[Uid], change: FlagChange, unchanged_since: ModSeq | None = None) -> Flagged:
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

    def remove(self, uids: Collection[Uid]) -> list[Entry]:
        """Remove entries and return them, by UID."""
        removed = [self.entries.pop(uid) for uid in self._present(uids)]
        if removed:
            self._expunged.update((entry.uid, self._next_modseq) for entry in removed)
            self._trim_tombstones()
            self.advance(octets=-sum(entry.size for entry in removed))
        return removed

    def vanished(self, modseq: ModSeq) -> list[Uid] | None:
        """UIDs removed after `modseq`; None if that is before the horizon."""
        if modseq < self._horizon:
            return None
        return sorted(uid for uid, removed in self._expunged.items() if removed > modseq)

    def arrived(self, since: Uid, before: Uid, limit: int) -> list[MailboxChange]:
        """The entries with UIDs from `since` up to `before`, exclusive."""
        uids = sorted(uid for uid in self.entries if since <= uid < before)
        return [_changed(self.entries[uid]) for uid in uids[:limit]]

    def changes(self, span: ChangeSpan, limit: int) -> list[MailboxChange] | None:
        """The changes of a span; None if tombstones were dropped since."""
        if (span.modseq if span.uid >= END_UID else span.modseq - 1) < self._horizon:
            return None
        gone = [MailboxChange(modseq, uid, None) for uid, modseq in self._expunged.items()]
        changes = sorted([*map(_changed, self.entries.values()), *gone])
        first, last = (span.modseq, span.uid), (span.until, END_UID)
        return [each for each in changes if first < each[:2] <= last and each.uid < span.before][:limit]

    def take_recent(self, until: Uid | None) -> Uid:
        """Advance `first_recent_uid` to `until`, at most to UIDNEXT; returns what it was before."""
        first, uid_next = self.state.first_recent_uid, self.state.uid_next
        new_first = uid_next if until is None else min(until, uid_next)
        if first < new_first:
            self.state = replace(self.state, first_recent_uid=new_first)
        return first

    def advance(self, arrived: int = 0, octets: int = 0, origin: str | None = None, name: str | None = None) -> None:
        """Update the state after a change and notify the listeners."""
        self.state = replace(
            self.state,
            name=self.state.name if name is None else name,
            uid_next=Uid(self.state.uid_next + arrived),
            highest_modseq=self._next_modseq,
            messages=len(self.entries),
            octets=self.state.octets + octets,
        )
        state = self.state
        self._notify([MailboxNotice(state.account_id, state.id, state.highest_modseq, origin, time.time())])

    def _entries_after(self, last: EntryList) -> EntryList:
        changed = [entry for entry in self.entries.values() if entry.modseq > last.modseq]
        removed = [uid for uid in last.column("uid") if uid not in self.entries]
        return last.after(self.state.highest_modseq, changed, removed)

    def _trim_tombstones(self) -> None:
        while len(self._expunged) > MAX_TOMBSTONES:  # oldest first: a dictionary keeps the order of insertion
            self._horizon = self._expunged.pop(next(iter(self._expunged)))

    def _present(self, uids: Collection[Uid]) -> list[Uid]:
        return sorted(self.entries.keys() & set(uids))

    @property
    def _next_modseq(self) -> ModSeq:
        return ModSeq(self.state.highest_modseq + 1)


def _changed(entry: Entry) -> MailboxChange:
    return MailboxChange(entry.modseq, entry.uid, entry.message_id, entry.flags, entry.keywords)


@dataclass(slots=True)
class StoredMessage:
    """A message of an account, with its locations: mailboxes and UIDs. Without a location it is deleted."""

    message: Message
    raw: bytes
    locations: list[tuple[MemoryMailbox, Uid]] = field(default_factory=list)
    _text: SearchText | None = None

    def listed(self) -> ListedMessage:
        """The message with its flags and mailboxes."""
        entries = [(mailbox.state.name, mailbox.entries[uid]) for mailbox, uid in self.locations]
        placed = [PlacedEntry(name, entry.flags, entry.keywords) for name, entry in entries]
        return ListedMessage(self.message, *merge_entries(placed))

    def open(self) -> MemoryRawMessage:
        """The raw message."""
        return MemoryRawMessage(self.raw, self.message.origin)

    def rendering(self) -> Rendering:
        """The FETCH data items that need no raw message."""
        index = self.message.index
        return Rendering(index.envelope, index.bodystructure, index.preview, self.thread, self.message.origin)

    def header(self) -> bytes:
        """The raw header."""
        return self.raw[: self.message.index.parts[0].body]

    def summary(self) -> Summary:
        """The header fields that SEARCH, SORT and THREAD compare."""
        index = self.message.index
        texts = split_summary_text(summary_text(index))
        return Summary(*texts, index.date, index.zone, index.header_message_id, index.references, self.thread)

    def text(self) -> SearchText:
        """The text that searches match, computed on first use."""
        if self._text is None:
            self._text = message_text(self.raw, self.message.index.parts)
        return self._text

    @property
    def thread(self) -> str:
        """THREADID (RFC 8474 §5.2), see `identifiers.thread_id`."""
        index = self.message.index
        return thread_id(index.references, index.header_message_id, self.message.id)
