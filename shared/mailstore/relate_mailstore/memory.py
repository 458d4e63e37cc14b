"""The store in memory: what the port means, in code that is read at one sitting. Tests and demonstrations use it.

No method waits for anything, so each is a transaction by itself. Values are replaced, never changed in place, and
every change of a mailbox ends in `_Mailbox._advance`: it raises the modseq, spoils the snapshot, tells the readers.
"""

import itertools
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_

from relate_mailstore.errors import MailboxNotFound, MaildropInUse, MessageNotFound, OverQuota
from relate_mailstore.mime import index_message
from relate_mailstore.patience import granted
from relate_mailstore.rules import (
    PROVISIONED,
    canonical_name,
    change_entry,
    encode_cursor,
    message_ids,
    name_order,
    parse_cursor,
    position,
    search_text,
)
from relate_mailstore.subscriptions import Subscriptions
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Change,
    Delivery,
    Destination,
    Entry,
    Flag,
    FlagChange,
    Listed,
    Mailbox,
    MailboxId,
    Message,
    MessageId,
    MessageIndex,
    MessageQuery,
    Page,
    Receipt,
    Snapshot,
)

Tell = Callable[[Iterable[Change]], None]

CHUNK_OCTETS = 65_536  # small, so that tests with messages of some 100 KB see several


class MemoryMailStore:
    """`MailStore` in memory; nothing outlives it. `index` computes what is known of a message at delivery."""

    def __init__(self, index: Callable[[bytes], MessageIndex] = index_message) -> None:
        self._index = index
        self._accounts: dict[AccountId, _Account] = {}
        self._mailbox_ids = map(MailboxId, itertools.count(1))
        self._message_ids = message_ids()
        self._subscriptions = Subscriptions()

    async def provision(self, account_id: AccountId) -> None:
        """Give an account its mailboxes, once."""
        self._account(account_id).provision()

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Enter a message for every destination; all are looked up before anything is changed."""
        for destination in delivery.destinations:
            self._account(destination.account_id).expect_mailbox(destination.mailbox)
        received = int(time.time()) if delivery.internal_date is None else delivery.internal_date
        message_id, index = next(self._message_ids), self._index(delivery.raw)
        entered = []
        for destination in delivery.destinations:
            account = self._account(destination.account_id)
            account.provision()
            message = Message(message_id, account.id, index, received, delivery.origin)
            entered.append(account.enter(message, delivery.raw, destination))
        return Receipt(message_id, tuple(entered), leader=delivery.origin)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Compare with what the mailboxes hold."""
        used = sum(mailbox.state.octets for mailbox in self._account(account_id).mailboxes.values())
        if quota is not None and used + octets > quota:
            raise OverQuota(f"{octets} octets do not fit", temporary=octets <= quota)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """One mailbox by name."""
        return self._account(account_id).mailbox(name).state

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes, by name, INBOX first."""
        mailboxes = [mailbox.state for mailbox in self._account(account_id).mailboxes.values()]
        return sorted(mailboxes, key=lambda mailbox: name_order(mailbox.name))

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries: the same object until something changes."""
        return self._account(account_id).mailbox(name).snapshot()

    async def open(self, account_id: AccountId, message_id: MessageId) -> "MemoryRawMessage":
        """Open a raw message for reading."""
        held = self._account(account_id).held(message_id)
        return MemoryRawMessage(held.raw, held.message.origin)

    async def read_ahead(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        """Nothing to do: all of it is in memory."""

    async def message(self, account_id: AccountId, message_id: MessageId) -> Listed:
        """One message with its index and flags."""
        return self._account(account_id).held(message_id).listed()

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        """One page of the messages that match, newest first. Raises ValueError for a cursor that is none of ours."""
        rows = [held.listed() for held in self._account(account_id).messages.values()]
        rows = sorted((row for row in rows if _matches(row, query)), key=position, reverse=True)
        if query.cursor is not None:
            last = parse_cursor(query.cursor)
            rows = [row for row in rows if position(row) < last]
        page = tuple(rows[: query.limit])
        return Page(page, encode_cursor(page[-1]) if len(page) < len(rows) else None)

    async def set_flags(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], change: FlagChange
    ) -> Sequence[Entry]:
        """Change flags of entries; the entries as they are now, in UID order."""
        return self._account(account_id).mailbox_by_id(mailbox_id).set_flags(uids, change)

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> Listed:
        """Change flags of a message in every mailbox it is entered in."""
        held = self._account(account_id).held(message_id)
        for mailbox, uid in held.places:
            mailbox.set_flags([uid], change)
        return held.listed()

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        """Remove entries for good; the UIDs that were there, ascending."""
        account = self._account(account_id)
        return account.expunge(account.mailbox_by_id(mailbox_id), uids)

    async def delete_message(self, account_id: AccountId, message_id: MessageId) -> None:
        """Remove a message from every mailbox of this account."""
        account = self._account(account_id)
        for mailbox, uid in tuple(account.held(message_id).places):
            account.expunge(mailbox, [uid])

    @asynccontextmanager
    async def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AsyncIterator[None]:
        """Hold the account's maildrop."""
        account = self._account(account_id)
        if not await granted(account.take_maildrop, patience):
            raise MaildropInUse(f"maildrop of account {account_id}")
        try:
            yield
        finally:
            account.maildrop_held = False

    def changes(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Subscribe to the account's changes."""
        return self._subscriptions.subscribe(account_id)

    async def ping(self) -> None:
        """Memory always answers."""

    async def close(self) -> None:
        """Nothing is under way when no method waits."""

    def _account(self, account_id: AccountId) -> "_Account":
        account = _Account(account_id, self._mailbox_ids, self._subscriptions.tell)
        return self._accounts.setdefault(account_id, account)


@dataclass(frozen=True, slots=True)
class MemoryRawMessage:
    """`RawMessage` over octets at hand."""

    raw: bytes
    origin: str | None

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.raw)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop), at most CHUNK_OCTETS at a time."""
        end = self.size if stop is None else min(stop, self.size)
        for offset in range(start, end, CHUNK_OCTETS):
            yield self.raw[offset : min(offset + CHUNK_OCTETS, end)]

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return self.raw[start:stop]


class _Account:
    """Everything that one account has."""

    def __init__(self, account_id: AccountId, mailbox_ids: Iterator[MailboxId], tell: Tell) -> None:
        self.id = account_id
        self._mailbox_ids = mailbox_ids
        self._tell = tell
        self.mailboxes: dict[str, _Mailbox] = {}
        self.messages: dict[MessageId, _Held] = {}
        self.maildrop_held = False

    async def take_maildrop(self) -> bool:
        taken, self.maildrop_held = not self.maildrop_held, True
        return taken

    def provision(self) -> None:
        if not self.mailboxes:
            for name in PROVISIONED:
                self.mailboxes[name] = _Mailbox(next(self._mailbox_ids), self.id, name, self._tell)

    def expect_mailbox(self, name: str) -> None:
        if canonical_name(name) not in (self.mailboxes or PROVISIONED):
            raise MailboxNotFound(f"account {self.id}")

    def mailbox(self, name: str) -> "_Mailbox":
        try:
            return self.mailboxes[canonical_name(name)]
        except KeyError:
            raise MailboxNotFound(f"account {self.id}") from None

    def mailbox_by_id(self, mailbox_id: MailboxId) -> "_Mailbox":
        for mailbox in self.mailboxes.values():
            if mailbox.state.id == mailbox_id:
                return mailbox
        raise MailboxNotFound(f"mailbox {mailbox_id} in account {self.id}")

    def held(self, message_id: MessageId) -> "_Held":
        try:
            return self.messages[message_id]
        except KeyError:
            raise MessageNotFound(f"message {message_id} in account {self.id}") from None

    def enter(self, message: Message, raw: bytes, destination: Destination) -> tuple[int, int]:
        mailbox = self.mailbox(destination.mailbox)
        held = self.messages.setdefault(message.id, _Held(message, raw))
        uid = mailbox.enter(message, destination)
        held.places.append((mailbox, uid))
        return mailbox.state.uid_validity, uid

    def expunge(self, mailbox: "_Mailbox", uids: Collection[int]) -> list[int]:
        removed = mailbox.remove(uids)
        for entry in removed:
            places = self.messages[entry.message_id].places
            places.remove((mailbox, entry.uid))
            if not places:
                del self.messages[entry.message_id]
        return [entry.uid for entry in removed]


class _Mailbox:
    """A mailbox and its entries by UID, ascending."""

    def __init__(self, mailbox_id: MailboxId, account_id: AccountId, name: str, tell: Tell) -> None:
        self.state = Mailbox(
            mailbox_id,
            account_id,
            name,
            uid_validity=int(time.time()),
            uid_next=1,
            highest_modseq=1,
            special_use=PROVISIONED[name],
            subscribed=True,
            messages=0,
            octets=0,
        )
        self.entries: dict[int, Entry] = {}
        self._tell = tell
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = Snapshot(self.state, tuple(self.entries.values()))
        return self._snapshot

    def enter(self, message: Message, destination: Destination) -> int:
        uid, size = self.state.uid_next, message.index.size
        keywords = tuple(sorted(set(destination.keywords)))
        self.entries[uid] = Entry(
            uid, message.id, size, int(destination.flags), keywords, message.received, self._next_modseq
        )
        self._advance(arrived=1, octets=size, origin=message.origin)
        return uid

    def set_flags(self, uids: Collection[int], change: FlagChange) -> list[Entry]:
        before = [self.entries[uid] for uid in self._present(uids)]
        after = [change_entry(entry, change, self._next_modseq) for entry in before]
        if after != before:
            self.entries.update((entry.uid, entry) for entry in after)
            self._advance()
        return after

    def remove(self, uids: Collection[int]) -> list[Entry]:
        removed = [self.entries.pop(uid) for uid in self._present(uids)]
        if removed:
            self._advance(octets=-sum(entry.size for entry in removed))
        return removed

    def _present(self, uids: Collection[int]) -> list[int]:
        return sorted(self.entries.keys() & set(uids))

    @property
    def _next_modseq(self) -> int:
        return self.state.highest_modseq + 1

    def _advance(self, arrived: int = 0, octets: int = 0, origin: str | None = None) -> None:
        self.state = replace(
            self.state,
            uid_next=self.state.uid_next + arrived,
            highest_modseq=self._next_modseq,
            messages=len(self.entries),
            octets=self.state.octets + octets,
        )
        self._snapshot = None
        self._tell([Change(self.state.account_id, self.state.id, self.state.highest_modseq, origin)])


@dataclass(frozen=True, slots=True)
class _Held:
    """A message of an account, and the mailboxes and UIDs it is entered under; without any it is gone."""

    message: Message
    raw: bytes
    places: list[tuple[_Mailbox, int]] = field(default_factory=list)

    def listed(self) -> Listed:
        entries = [mailbox.entries[uid] for mailbox, uid in self.places]
        return Listed(
            self.message,
            flags=reduce(or_, (entry.flags for entry in entries)),
            keywords=tuple(sorted({keyword for entry in entries for keyword in entry.keywords})),
            mailboxes=tuple(sorted({mailbox.state.name for mailbox, _ in self.places}, key=name_order)),
        )


def _matches(row: Listed, query: MessageQuery) -> bool:
    message = row.message
    return (
        (query.mailbox is None or canonical_name(query.mailbox) in row.mailboxes)
        and (query.text.casefold() in search_text(message.index))
        and (query.since is None or message.received >= query.since)
        and (query.before is None or message.received < query.before)
        and (query.seen is None or bool(row.flags & Flag.SEEN) is query.seen)
        and (query.has_attachments is None or bool(message.index.attachments) is query.has_attachments)
        and (query.keyword is None or query.keyword in row.keywords)
    )
