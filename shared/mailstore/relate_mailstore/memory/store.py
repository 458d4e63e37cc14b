"""`MailStore` in memory. No method waits for anything, so each is a transaction by itself."""

import itertools
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from relate_mailstore.errors import MaildropInUse, MessageNotFound
from relate_mailstore.folding import fold
from relate_mailstore.keywords import new_keywords, spell
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.mailbox import Held, Marks, MemoryMailbox
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.mime import index_message
from relate_mailstore.polling import granted
from relate_mailstore.rules import (
    NO_SUMMARY,
    canonical_name,
    change_entry,
    encode_cursor,
    expect_room,
    find_name,
    message_ids,
    name_order,
    octets_by_account,
    other_than_inbox,
    parse_cursor,
    position,
    search_text,
)
from relate_mailstore.types import (
    INBOX,
    AccountId,
    Appended,
    Copied,
    Delivery,
    Flag,
    FlagChange,
    Flagged,
    Incoming,
    Listed,
    Mailbox,
    MailboxId,
    MailboxNotice,
    Message,
    MessageId,
    MessageIndex,
    MessageQuery,
    Page,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
)


class MemoryMailStore:
    """`MailStore` in memory; nothing outlives it. `index` computes what is known of a message at delivery."""

    def __init__(self, index: Callable[[bytes], MessageIndex] = index_message) -> None:
        self._index = index
        self._accounts: dict[AccountId, MemoryAccount] = {}
        self._mailbox_ids = map(MailboxId, itertools.count(1))
        self._message_ids = message_ids()
        self._listeners = ChangeListeners()

    async def provision(self, account_id: AccountId) -> None:
        """Give an account its mailboxes, once."""
        self._account(account_id).provision()

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Enter a message for every destination; all are looked up before anything is changed."""
        for destination in delivery.destinations:
            new_keywords(destination.keywords)
            self._account(destination.account_id).expect_mailbox(destination.mailbox)
        await self._expect_room(delivery)
        received = _moment(delivery.internal_date)
        message_id, index = next(self._message_ids), self._index(delivery.raw)
        entered = []
        for to in delivery.destinations:
            account = self._account(to.account_id)
            account.provision()
            message = Message(message_id, account.id, index, received, delivery.origin)
            mailbox = account.mailbox(to.mailbox)
            uid = account.enter(mailbox, message, delivery.raw, Marks(to.flags, new_keywords(to.keywords), received))
            entered.append((mailbox.state.uid_validity, uid))
        return Receipt(message_id, tuple(entered), leader=delivery.origin)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Compare with what the mailboxes hold."""
        expect_room(await self.usage(account_id), octets, quota)

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

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The same mailbox as it is now: the same object until something changes."""
        mailbox = snapshot.mailbox
        now = self._account(mailbox.account_id).mailbox_by_id(mailbox.id).snapshot()
        return snapshot if now == snapshot else now

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Make a mailbox."""
        return self._account(account_id).create(canonical_name(name), special_use).state

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries. Raises ValueError for INBOX."""
        self._account(account_id).delete(other_than_inbox(name))

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and all below it, or move what is in INBOX."""
        self._account(account_id).rename(canonical_name(name), canonical_name(new_name))

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to."""
        return frozenset(self._account(account_id).subscriptions)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it."""
        self._account(account_id).subscribe(canonical_name(name), subscribed)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: int | None = None) -> int:
        """The first UID that was not taken before; those below `until` are now."""
        return self._account(account_id).mailbox_by_id(mailbox_id).take_recent(until)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[Incoming],
        replaces: tuple[MailboxId, int] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Put messages into a mailbox, and expunge the entry they replace; all is looked up first."""
        account = self._account(account_id)
        target = account.mailbox(mailbox)
        replaced = None if replaces is None else account.mailbox_by_id(replaces[0])
        if replaced and replaces and replaces[1] not in replaced.entries:
            raise MessageNotFound(f"UID {replaces[1]} in mailbox {replaces[0]} of account {account_id}")
        more = sum(len(incoming.raw) for incoming in messages)
        if replaced and replaces:
            more -= replaced.entries[replaces[1]].size
        expect_room(await self.usage(account_id), more, quota)
        marks = [Marks(one.flags, new_keywords(one.keywords), _moment(one.internal_date)) for one in messages]
        uids = tuple(self._append(account, target, one, its) for one, its in zip(messages, marks, strict=True))
        if replaced and replaces:
            account.expunge(replaced, [replaces[1]])
        return Appended(target.state.uid_validity, uids)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages into another mailbox too."""
        account = self._account(account_id)
        source, into = account.mailbox_by_id(mailbox_id), account.mailbox(target)
        more = sum(source.entries[uid].size for uid in source.entries.keys() & set(uids))
        expect_room(await self.usage(account_id), more, quota)
        return account.copy(source, uids, into)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], target: str) -> Copied:
        """Enter messages into another mailbox instead."""
        account = self._account(account_id)
        return account.move(account.mailbox_by_id(mailbox_id), uids, account.mailbox(target))

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> Sequence[int] | None:
        """UIDs expunged after `modseq`; None below what is remembered."""
        return self._account(account_id).mailbox_by_id(mailbox_id).vanished(modseq)

    async def usage(self, account_id: AccountId) -> int:
        """Octets that the account's mailboxes hold."""
        return sum(mailbox.state.octets for mailbox in self._account(account_id).mailboxes.values())

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """What FETCH answers of these messages without opening them."""
        return [None if held is None else held.rendering() for held in self._held(account_id, message_ids)]

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """Where the parts of these messages lie."""
        return [None if held is None else held.message.index for held in self._held(account_id, message_ids)]

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw headers of these messages."""
        return [None if held is None else held.header() for held in self._held(account_id, message_ids)]

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each of the snapshot's entries."""
        messages = self._account(snapshot.mailbox.account_id).messages
        held = (messages.get(entry.message_id) for entry in snapshot.entries)
        return tuple(NO_SUMMARY if one is None else one.summary() for one in held)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        """UIDs of the entries whose text contains this."""
        messages, folded = self._account(snapshot.mailbox.account_id).messages, fold(text)
        return {
            entry.uid
            for entry in snapshot.entries
            if (held := messages.get(entry.message_id)) and held.text().has(folded, part)
        }

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        """Open a raw message for reading; all that could be fetched ahead is in memory."""
        return self._account(account_id).held(message_id).open()

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[MemoryRawMessage | None]:
        """Open several raw messages for reading."""
        return [None if held is None else held.open() for held in self._held(account_id, message_ids)]

    async def message(self, account_id: AccountId, message_id: MessageId) -> Listed:
        """One message with its index and flags."""
        return self._account(account_id).held(message_id).listed()

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        """One page of the messages that match, newest first. Raises ValueError for a cursor that is none of ours."""
        rows = [held.listed() for held in self._account(account_id).messages.values()]
        mailboxes = self._account(account_id).mailboxes
        if query.mailbox is not None:
            query = replace(query, mailbox=find_name(mailboxes, canonical_name(query.mailbox)) or query.mailbox)
        rows = sorted((row for row in rows if _matches(row, query)), key=position, reverse=True)
        if query.cursor is not None:
            last = parse_cursor(query.cursor)
            rows = [row for row in rows if position(row) < last]
        page = tuple(rows[: query.limit])
        return Page(page, encode_cursor(page[-1]) if len(page) < len(rows) else None)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[int],
        change: FlagChange,
        unchanged_since: int | None = None,
    ) -> Flagged:
        """Change flags of entries; the entries as they are now, in UID order."""
        return self._account(account_id).mailbox_by_id(mailbox_id).set_flags(uids, change, unchanged_since)

    async def flag_message(self, account_id: AccountId, message_id: MessageId, change: FlagChange) -> Listed:
        """Change flags of a message in every mailbox it is entered in."""
        held = self._account(account_id).held(message_id)
        keywords = change.add_keywords
        for mailbox, _ in held.places:
            keywords = spell(keywords, mailbox.snapshot().keywords)
        spelled = replace(change, add_keywords=keywords)
        for mailbox, uid in held.places:  # before anything is changed
            change_entry(mailbox.entries[uid], spelled, 0)
        for mailbox, uid in held.places:
            mailbox.set_flags([uid], spelled)
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

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Subscribe to the account's changes."""
        return self._listeners.listen(account_id)

    async def ping(self) -> None:
        """Memory always answers."""

    async def close(self) -> None:
        """Nothing is under way when no method waits."""

    async def _expect_room(self, delivery: Delivery) -> None:
        more = octets_by_account(delivery)
        for to in delivery.destinations:
            expect_room(await self.usage(to.account_id), more[to.account_id], to.quota)

    def _append(self, account: MemoryAccount, target: MemoryMailbox, incoming: Incoming, marks: Marks) -> int:
        index, date = self._index(incoming.raw), marks.internal_date
        message = Message(next(self._message_ids), account.id, index, date, incoming.origin)
        return account.enter(target, message, incoming.raw, marks)

    def _held(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Held | None]:
        return [*map(self._account(account_id).messages.get, message_ids)]

    def _account(self, account_id: AccountId) -> MemoryAccount:
        account = MemoryAccount(account_id, self._mailbox_ids, self._listeners.tell)
        return self._accounts.setdefault(account_id, account)


def _moment(date: int | None) -> int:
    return int(time.time()) if date is None else date


def _matches(row: Listed, query: MessageQuery) -> bool:
    message = row.message
    return (
        (query.mailbox is None or query.mailbox in row.mailboxes)
        and (fold(query.text) in search_text(message.index))
        and (query.since is None or message.received >= query.since)
        and (query.before is None or message.received < query.before)
        and (query.seen is None or bool(row.flags & Flag.SEEN) is query.seen)
        and (query.has_attachments is None or bool(message.index.attachments) is query.has_attachments)
        and (query.keyword is None or query.keyword.lower() in map(str.lower, row.keywords))
    )
