"""`MailStore` in memory. No method but `lock_maildrop` awaits anything, so each is atomic."""

import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from copy import copy as shallow_copy
from dataclasses import replace
from functools import partial
from typing import Self

from relate_mailstore.change_events import Actor, appended_event, deleted_events, moved_events, read_events
from relate_mailstore.cursors import encode_cursor, list_position, parse_cursor
from relate_mailstore.errors import MailboxNotFound, MaildropInUse, MessageNotFound, TooManyKeywords
from relate_mailstore.event_rules import EventRules, of_delivery, places_of
from relate_mailstore.event_types import Detail, Event
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.folding import fold
from relate_mailstore.identifiers import NO_MODSEQ, generate_message_ids
from relate_mailstore.keywords import new_keywords, spell
from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.listing import MAX_SENDERS, expect_state
from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.mailbox_names import canonical_name, deletable_name, find_name, name_order
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.events import MemoryEventLog
from relate_mailstore.memory.filters import MemoryFilters
from relate_mailstore.memory.labels import MemoryLabels
from relate_mailstore.memory.mailbox import MemoryMailbox, MessageAttributes, StoredMessage
from relate_mailstore.memory.matching import matches
from relate_mailstore.memory.outcomes import MemoryOutcomes
from relate_mailstore.memory.queue import MemoryQueue
from relate_mailstore.memory.raw import MemoryRawMessage
from relate_mailstore.memory.requests import MemoryRequests
from relate_mailstore.memory.sending import MemorySending
from relate_mailstore.memory.suppressions import MemorySuppressions
from relate_mailstore.memory.webhooks import MemoryWebhooks
from relate_mailstore.polling import poll
from relate_mailstore.queue_types import Outgoing, SendingLimit
from relate_mailstore.quota import check_quota, octets_by_account
from relate_mailstore.sending_rules import held_events, held_reply
from relate_mailstore.summary_text import EMPTY_SUMMARY
from relate_mailstore.types import (
    INBOX,
    AccountId,
    AnsweredRequest,
    Appended,
    AssignedUid,
    Copied,
    Delivery,
    Entry,
    Flag,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxId,
    MailboxNotice,
    Message,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Rendering,
    Sending,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)
from relate_mime import MessageIndex, index_message


class MemoryMailStore:
    """`MailStore` in memory, without persistence, with its `queue`, `events`, `suppressions`, `labels`, `filters` and
    `webhooks`.

    `index` computes the index of a message at delivery. `clock` returns the time of the queue, in seconds since the
    epoch.
    """

    def __init__(
        self,
        index: Callable[[bytes], MessageIndex] = index_message,
        clock: Callable[[], float] = time.time,
        event_rules: EventRules | None = None,
    ) -> None:
        self._index = index
        self._accounts: dict[AccountId, MemoryAccount] = {}
        self._mailbox_ids = map(MailboxId, itertools.count(1))
        self._message_ids = generate_message_ids()
        self._listeners = ChangeListeners()
        self._outcomes = MemoryOutcomes(self._listeners.notify)
        self.webhooks = MemoryWebhooks(clock)
        self.events = MemoryEventLog(event_rules or EventRules(), clock, self._tell_subscribers)
        self.suppressions = MemorySuppressions(clock)
        self.labels = MemoryLabels(self._account)
        self.filters = MemoryFilters(self._account, self.labels, clock)
        self.queue = MemoryQueue(self._deliver_all, self.events.add, self.suppressions.suppress, clock)
        self._sending = MemorySending(clock)
        self._requests = MemoryRequests(clock)
        self._actor: Actor | None = None

    def acting(self, actor: Actor) -> Self:
        """The same store, whose changes the event log tells of as those of a service."""
        store = shallow_copy(self)
        store._actor = actor
        return store

    async def provision(self, account_id: AccountId) -> None:
        """Create the default mailboxes of an account. Idempotent."""
        self._account(account_id).provision()

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Enter a message for every destination; all are looked up before the first change."""
        sending = delivery.sending
        if sending is not None:
            self._expect(sending)
        (receipt,) = self._deliver_all([delivery])
        if sending is not None:
            await self._complete(sending, receipt)
        return receipt

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request with this key."""
        return self._requests.find(account_id, key_hash)

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Enter the notice, unless the owner was told."""
        if not self._sending.tell(account_id, limit):
            return False
        self._deliver_all([notice])
        return True

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Compare the quota with the octets of all mailboxes."""
        check_quota(self._usage(account_id), octets, quota)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """A mailbox by name."""
        return self._account(account_id).mailbox(name).state

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All mailboxes, by name, INBOX first."""
        mailboxes = [mailbox.state for mailbox in self._account(account_id).mailboxes.values()]
        return sorted(mailboxes, key=lambda mailbox: name_order(mailbox.name))

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """A mailbox and all its entries; the same object until one of them changes."""
        return self._account(account_id).mailbox(name).snapshot()

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The current state of the same mailbox; the same object if it did not change."""
        mailbox = snapshot.mailbox
        current = self._account(mailbox.account_id).mailbox_by_id(mailbox.id).snapshot()
        return snapshot if current == snapshot else current

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Create a mailbox."""
        return self._account(account_id).create(canonical_name(name), special_use).state

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Remove a mailbox and its entries. Raises ValueError for INBOX."""
        self._account(account_id).delete(deletable_name(name))
        self._tell(account_id)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Rename a mailbox and its inferiors; of INBOX, move the messages instead."""
        self._account(account_id).rename(canonical_name(name), canonical_name(new_name))
        self._tell(account_id)

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """The names that the account is subscribed to."""
        return frozenset(self._account(account_id).subscriptions)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Add a name to the subscriptions or remove it."""
        self._account(account_id).subscribe(canonical_name(name), subscribed)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Advance the first recent UID to `until`; returns what it was before."""
        return self._account(account_id).mailbox_by_id(mailbox_id).take_recent(until)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Append messages and expunge the entry that they replace; all is looked up before the first change."""
        account = self._account(account_id)
        target = account.mailbox(mailbox)
        replaced = None if replaces is None else account.mailbox_by_id(replaces[0])
        if replaced and replaces and replaces[1] not in replaced.entries:
            raise MessageNotFound(f"UID {replaces[1]} in mailbox {replaces[0]} of account {account_id}")
        added = sum(len(message.raw) for message in messages)
        if replaced and replaces:
            added -= replaced.entries[replaces[1]].size
        check_quota(await self.usage(account_id), added, quota)
        attributes = [
            MessageAttributes(message.flags, new_keywords(message.keywords), _or_now(message.internal_date))
            for message in messages
        ]
        uids = tuple(map(partial(self._append, account, target), messages, attributes))
        if replaced and replaces:
            account.expunge(replaced, [replaces[1]])
        self._tell(account_id)
        return Appended(target.state.uid_validity, uids)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Enter messages into another mailbox as well."""
        account = self._account(account_id)
        source, into = account.mailbox_by_id(mailbox_id), account.mailbox(target)
        added = sum(source.entries[uid].size for uid in source.entries.keys() & set(uids))
        check_quota(await self.usage(account_id), added, quota)
        return account.copy(source, uids, into)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """Copy messages to another mailbox and expunge them in this one."""
        account = self._account(account_id)
        moved = account.move(account.mailbox_by_id(mailbox_id), uids, account.mailbox(target))
        self._tell(account_id)
        return moved

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """UIDs expunged after `modseq`; None if tombstones since then were dropped."""
        return self._account(account_id).mailbox_by_id(mailbox_id).vanished(modseq)

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """The entries with these UIDs; none of a mailbox that was deleted."""
        try:
            return self._account(account_id).mailbox_by_id(mailbox_id).arrived(since, before, limit)
        except MailboxNotFound:
            return []

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """The changed and expunged entries of a span."""
        return self._account(account_id).mailbox_by_id(mailbox_id).changes(span, limit)

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Store an account's outcomes from now on."""
        return self._outcomes.follow(account_id)

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """The outcomes after a number."""
        return self._outcomes.page(account_id, after, limit)

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Remove an account's outcomes and webhooks."""
        await self.webhooks.forget(account_id)
        self._outcomes.forget(account_id)

    async def usage(self, account_id: AccountId) -> int:
        """The octets of all mailboxes of an account."""
        return self._usage(account_id)

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """The FETCH data items of these messages that need no raw message."""
        return [None if stored is None else stored.rendering() for stored in self._find(account_id, message_ids)]

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """The indexes of these messages."""
        return [None if stored is None else stored.message.index for stored in self._find(account_id, message_ids)]

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """The raw headers of these messages."""
        return [None if stored is None else stored.header() for stored in self._find(account_id, message_ids)]

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each of the snapshot's entries."""
        messages = self._account(snapshot.mailbox.account_id).messages
        found = (messages.get(entry.message_id) for entry in snapshot.entries)
        return tuple(EMPTY_SUMMARY if stored is None else stored.summary() for stored in found)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains `text`."""
        messages, folded = self._account(snapshot.mailbox.account_id).messages, fold(text)
        return {
            entry.uid
            for entry in snapshot.entries
            if (stored := messages.get(entry.message_id)) and stored.text().has(folded, part)
        }

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        """Open a raw message. Ignores `ahead`: all messages are in memory."""
        return self._account(account_id).message(message_id).open()

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[MemoryRawMessage | None]:
        """Open several raw messages. Ignores `ahead`."""
        return [None if stored is None else stored.open() for stored in self._find(account_id, message_ids)]

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """A message with its index and flags."""
        return self._account(account_id).message(message_id).listed()

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """One page of the messages that match, newest first. Raises ValueError for an invalid cursor."""
        rows = sorted(self._matching(account_id, query), key=list_position, reverse=not query.oldest_first)
        start = query.offset
        if query.cursor is not None:
            last = parse_cursor(query.cursor)
            start = sum(
                list_position(row) <= last if query.oldest_first else list_position(row) >= last for row in rows
            )
        page = tuple(rows[start : start + query.limit])
        return MessagePage(page, encode_cursor(page[-1]) if page and start + len(page) < len(rows) else None)

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """Count the messages that match, and those without \\Seen."""
        account = self._account(account_id)
        mailboxes: Collection[MemoryMailbox] = account.mailboxes.values()
        if query.mailbox is not None:
            name = find_name(account.mailboxes, canonical_name(query.mailbox))
            mailboxes = [] if name is None else [account.mailboxes[name]]
        entries = itertools.chain.from_iterable(mailbox.entries.values() for mailbox in mailboxes)
        unread = {entry.message_id for entry in entries if not entry.flags & Flag.SEEN}
        whole = sum(mailbox.state.messages for mailbox in mailboxes)
        return MessageCounts(whole if query.is_whole_mailbox else len(self._matching(account_id, query)), len(unread))

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """The senders of the messages in a mailbox."""
        sent = self._matching(account_id, MessageQuery(mailbox))
        return sorted({row.message.index.sender.address for row in sent} - {""})[:MAX_SENDERS]

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Change flags of entries; returns their current state, in UID order."""
        mailbox = self._account(account_id).mailbox_by_id(mailbox_id)
        before = dict(mailbox.entries)
        flagged = mailbox.set_flags(uids, change, unchanged_since)
        self._tell_read(account_id, [(before[entry.uid], entry) for entry in flagged.entries])
        return flagged

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Change flags of a message in every mailbox that has it."""
        stored = self._account(account_id).message(message_id)
        expect_state(stored.listed().state, expected)
        keywords = change.add_keywords
        for mailbox, _ in stored.locations:
            keywords = spell(keywords, mailbox.snapshot().keywords)
        spelled = replace(change, add_keywords=keywords)
        for mailbox, uid in stored.locations:  # raises before the first change
            change_entry(mailbox.entries[uid], spelled, NO_MODSEQ)
        for mailbox, uid in stored.locations:
            before = mailbox.entries[uid]
            mailbox.set_flags([uid], spelled)
            self._tell_read(account_id, [(before, mailbox.entries[uid])])
        return stored.listed()

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Change system flags of messages in all their mailboxes."""
        account, wanted = self._account(account_id), {*message_ids}
        for mailbox in account.mailboxes.values():
            uids = [entry.uid for entry in mailbox.entries.values() if entry.message_id in wanted]
            before = dict(mailbox.entries)
            flagged = mailbox.set_flags(uids, FlagChange(add, remove))
            self._tell_read(account_id, [(before[entry.uid], entry) for entry in flagged.entries])
        return len(wanted & account.messages.keys())

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Remove entries; returns the removed UIDs, ascending."""
        account = self._account(account_id)
        removed = account.expunge(account.mailbox_by_id(mailbox_id), uids)
        self._tell(account_id)
        return removed

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Remove a message from every mailbox of this account."""
        account = self._account(account_id)
        stored = account.message(message_id)
        expect_state(stored.listed().state, expected)
        for mailbox, uid in tuple(stored.locations):
            account.expunge(mailbox, [uid])
        self._tell(account_id)

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Remove messages from every mailbox of this account."""
        account = self._account(account_id)
        found = [*filter(None, self._find(account_id, [*{*message_ids}]))]
        for mailbox, uid in [*itertools.chain.from_iterable(stored.locations for stored in found)]:
            account.expunge(mailbox, [uid])
        self._tell(account_id)
        return len(found)

    @asynccontextmanager
    async def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        """Hold the account's maildrop lock."""
        account = self._account(account_id)
        if not await poll(account.lock_maildrop, wait_seconds):
            raise MaildropInUse(f"maildrop of account {account_id}")
        try:
            yield
        finally:
            account.maildrop_locked = False

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Iterate over the account's notices."""
        return self._listeners.listen(account_id)

    async def ping(self) -> None:
        """Do nothing: memory is always available."""

    async def close(self) -> None:
        """Do nothing: there is nothing to flush."""

    def _tell_subscribers(self, events: Sequence[Event]) -> None:
        """Tell followers and webhooks of the stored events of one commit."""
        self.webhooks.add(events)
        self._outcomes.add(events)

    def _deliver_all(self, deliveries: Sequence[Delivery]) -> Sequence[Receipt]:
        """Deliver all or none."""
        for delivery in deliveries:
            for destination in delivery.destinations:
                new_keywords(destination.keywords)
                self._account(destination.account_id).expect_mailbox(destination.mailbox)
        added = Counter[AccountId]()
        for delivery in deliveries:
            added.update(octets_by_account(delivery))
            for to in delivery.destinations:
                check_quota(self._usage(to.account_id), added[to.account_id], to.quota)
        return [self._deliver(delivery) for delivery in deliveries]

    def _expect(self, sending: Sending) -> None:
        """Raise what `deliver` raises for a sending, before the first change."""
        if sending.request is not None:
            self._requests.expect_new(sending.account_id, sending.request)
        if sending.draft is not None:
            self._account(sending.account_id).message(sending.draft)

    async def _complete(self, sending: Sending, receipt: Receipt) -> None:
        if sending.answered is not None:
            with suppress(MessageNotFound, TooManyKeywords):
                await self.flag_message(sending.account_id, sending.answered, sending.change)
        if sending.draft is not None:
            await self.delete_message(sending.account_id, sending.draft)
        if sending.request is not None:
            self._requests.record(sending.account_id, sending.request, receipt)

    def _deliver(self, delivery: Delivery) -> Receipt:
        received = _or_now(delivery.internal_date)
        message_id, index = next(self._message_ids), self._index(delivery.raw)
        for to in delivery.destinations:
            self._account(to.account_id).provision()
        delivery = self.filters.apply(delivery, index)
        entered: list[AssignedUid] = []
        for to in delivery.destinations:
            account = self._account(to.account_id)
            message = Message(message_id, account.id, index, received, delivery.origin)
            mailbox = account.mailbox(to.mailbox)
            attributes = MessageAttributes(to.flags, new_keywords(to.keywords), received)
            uid = account.enter(mailbox, message, delivery.raw, attributes)
            entered.append(AssignedUid(mailbox.state.uid_validity, uid))
        header_message_id = index.header_message_id or (
            delivery.outgoing.header_message_id if delivery.outgoing else ""
        )
        places = places_of(delivery, entered)
        self.events.add(of_delivery(delivery.events, message_id, header_message_id, delivery.origin, places))
        self.suppressions.suppress(delivery.suppressions)
        receipt = Receipt(message_id, tuple(entered), leader=delivery.origin)
        return receipt if delivery.outgoing is None else self._queue(receipt, delivery, delivery.outgoing)

    def _queue(self, receipt: Receipt, delivery: Delivery, outgoing: Outgoing) -> Receipt:
        excess, reply = self._sending.count(outgoing), ""
        if excess is not None:
            outgoing, reply = replace(outgoing, is_held=True), held_reply(excess)
            events = held_events(outgoing, excess)
            self.events.add(of_delivery(events, receipt.message_id, outgoing.header_message_id, delivery.origin))
        self.queue.add(receipt.message_id, outgoing, delivery.raw, delivery.origin, reply)
        return replace(receipt, queued=len(outgoing.recipients), excess=excess)

    def _usage(self, account_id: AccountId) -> int:
        return sum(mailbox.state.octets for mailbox in self._account(account_id).mailboxes.values())

    def _append(
        self, account: MemoryAccount, target: MemoryMailbox, new: NewMessage, attributes: MessageAttributes
    ) -> Uid:
        index, received = self._index(new.raw), attributes.internal_date
        message = Message(next(self._message_ids), account.id, index, received, new.origin)
        uid = account.enter(target, message, new.raw, attributes)
        if self._actor is not None:
            event = appended_event(self._actor.changes(), account.id)
            places: dict[AccountId, Detail] = {account.id: {"mailbox": target.state.name, "uid": uid}}
            self.events.add(of_delivery([event], message.id, index.header_message_id, new.origin, places))
        return uid

    def _tell(self, account_id: AccountId) -> None:
        """Store the events of what the present call has removed and moved."""
        account = self._account(account_id)
        removed, moves = account.removed[:], account.moves[:]
        account.removed.clear()
        account.moves.clear()
        if self._actor is not None and (removed or moves):
            by = self._actor.changes()
            moved = [event for move in moves for event in moved_events(by, account_id, move)]
            self.events.add([*moved, *deleted_events(by, account_id, removed)])

    def _tell_read(self, account_id: AccountId, changed: Sequence[tuple[Entry, Entry]]) -> None:
        if self._actor is not None:
            self.events.read(read_events(self._actor.changes(), account_id, changed))

    def _matching(self, account_id: AccountId, query: MessageQuery) -> list[ListedMessage]:
        account = self._account(account_id)
        if query.mailbox is not None:
            name = find_name(account.mailboxes, canonical_name(query.mailbox))
            query = replace(query, mailbox=name or query.mailbox)
        return [stored.listed() for stored in account.messages.values() if matches(stored, query)]

    def _find(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[StoredMessage | None]:
        return [*map(self._account(account_id).messages.get, message_ids)]

    def _account(self, account_id: AccountId) -> MemoryAccount:
        account = MemoryAccount(account_id, self._mailbox_ids, self._listeners.notify)
        return self._accounts.setdefault(account_id, account)


def _or_now(seconds: int | None) -> int:
    return int(time.time()) if seconds is None else seconds
