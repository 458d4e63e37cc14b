"""What adds messages, changes their flags and removes them."""

import itertools
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from relate_mailstore.change_events import appended_event
from relate_mailstore.errors import MessageNotFound, TooManyKeywords
from relate_mailstore.event_rules import of_delivery
from relate_mailstore.event_types import Detail
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.keywords import new_keywords, spell
from relate_mailstore.listing import expect_state
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.deliveries import or_now
from relate_mailstore.memory.mailbox import MemoryMailbox, MessageAttributes
from relate_mailstore.memory.store.base import StoreBase
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.quota import check_quota
from relate_mailstore.types import (
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    FlagChange,
    Flagged,
    ListedMessage,
    MailboxId,
    Message,
    MessageId,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Sending,
    Uid,
)


class MemoryMessageStore(StoreBase):
    """`MessageStore` in memory. All is looked up before the first change."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Enter a message for every destination; all are looked up before the first change."""
        sending = delivery.sending
        if sending is not None:
            self._expect(sending)
        (receipt,) = self._parts.deliveries.deliver_all([delivery])
        if sending is not None:
            await self._complete(sending, receipt)
        return receipt

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request with this key."""
        return self._parts.requests.find(account_id, key_hash)

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Enter the notice, unless the owner was told."""
        if not self._parts.sending.tell(account_id, limit):
            return False
        self._parts.deliveries.deliver_all([notice])
        return True

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
        check_quota(self._parts.accounts.usage(account_id), added, quota)
        attributes = [
            MessageAttributes(message.flags, new_keywords(message.keywords), or_now(message.internal_date))
            for message in messages
        ]
        uids = tuple(map(partial(self._append, account, target), messages, attributes))
        if replaced and replaces:
            account.expunge(replaced, [replaces[1]])
        self._tell(account_id)
        return Appended(target.state.uid_validity, uids)

    async def copy(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str, quota: int | None = None
    ) -> Copied:
        """Enter messages into another mailbox as well."""
        account = self._account(account_id)
        source, into = account.mailbox_by_id(mailbox_id), account.mailbox(target)
        added = sum(source.entries[uid].size for uid in source.entries.keys() & set(uids))
        check_quota(self._parts.accounts.usage(account_id), added, quota)
        return account.copy(source, uids, into)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """Copy messages to another mailbox and expunge them in this one."""
        account = self._account(account_id)
        moved = account.move(account.mailbox_by_id(mailbox_id), uids, account.mailbox(target))
        self._tell(account_id)
        return moved

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
        found = [*filter(None, self._messages(account_id, [*{*message_ids}]))]
        for mailbox, uid in [*itertools.chain.from_iterable(stored.locations for stored in found)]:
            account.expunge(mailbox, [uid])
        self._tell(account_id)
        return len(found)

    def _expect(self, sending: Sending) -> None:
        """Raise what `deliver` raises for a sending, before the first change."""
        if sending.request is not None:
            self._parts.requests.expect_new(sending.account_id, sending.request)
        if sending.draft is not None:
            self._account(sending.account_id).message(sending.draft)

    async def _complete(self, sending: Sending, receipt: Receipt) -> None:
        if sending.answered is not None:
            with suppress(MessageNotFound, TooManyKeywords):
                await self.flag_message(sending.account_id, sending.answered, sending.change)
        if sending.draft is not None:
            await self.delete_message(sending.account_id, sending.draft)
        if sending.request is not None:
            self._parts.requests.record(sending.account_id, sending.request, receipt)

    def _append(
        self, account: MemoryAccount, target: MemoryMailbox, new: NewMessage, attributes: MessageAttributes
    ) -> Uid:
        index, received = self._parts.index(new.raw), attributes.internal_date
        message = Message(next(self._parts.message_ids), account.id, index, received, new.origin)
        uid = account.enter(target, message, new.raw, attributes)
        if self._actor is not None:
            event = appended_event(self._actor.changes(), account.id)
            places: dict[AccountId, Detail] = {account.id: {"mailbox": target.state.name, "uid": uid}}
            self._parts.events.add(of_delivery([event], message.id, index.header_message_id, new.origin, places))
        return uid
