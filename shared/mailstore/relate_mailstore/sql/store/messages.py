"""What adds messages, changes their flags and removes them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from relate_mailstore.keywords import spell
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.sql.read.message_list import find_message
from relate_mailstore.sql.store.base import StoreBase
from relate_mailstore.sql.write import append_copy, expunge, flags
from relate_mailstore.types import (
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    Flag,
    FlagChange,
    Flagged,
    ListedMessage,
    MailboxId,
    MessageId,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Uid,
)


class SqlMessageStore(StoreBase):
    """`MessageStore`. A change that the event log tells of stores the event in its own transaction."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Store a message; concurrent deliveries share a transaction."""
        return await self._parts.deliveries.deliver(delivery)

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """The request with this key."""
        return await self._parts.requests.find(account_id, key_hash)

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Enter a notice once in a period."""
        return await self._parts.deliveries.tell_held(account_id, limit, notice)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Put messages into a mailbox."""
        by = self._changed_by()
        deliveries = self._parts.deliveries
        append = partial(deliveries.append, account_id, messages=messages, replaces=replaces, quota=quota, by=by)
        return await self._named(account_id, mailbox, append)

    async def copy(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str, quota: int | None = None
    ) -> Copied:
        """Enter messages into another mailbox as well."""
        work = partial(append_copy.copy, account_id=account_id, mailbox_id=mailbox_id, uids=uids, quota=quota)

        async def copy(name: str) -> Copied:
            return await self._committer.run(partial(work, target=name))

        return await self._named(account_id, target, copy)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """Enter messages into another mailbox instead."""
        work = partial(append_copy.move, account_id=account_id, mailbox_id=mailbox_id, uids=uids)
        telling = self._telling()

        async def move(name: str) -> Copied:
            # A removal, because most moves are to the trash, and must work on a full disk.
            return await self._committer.run(telling(partial(work, target=name)), removes=True)

        return await self._named(account_id, target, move)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Change flags of entries; concurrent changes share a transaction."""
        by = self._changed_by() if change.add & Flag.SEEN else None  # only the first read is an event
        return await self._parts.flags.set_flags(account_id, mailbox_id, uids, change, unchanged_since, by=by)

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Change flags of a message in every mailbox that contains it."""
        if change.add_keywords:
            change = replace(change, add_keywords=await self._spell(account_id, message_id, change.add_keywords))
        work = partial(flags.flag_message, account_id=account_id, message_id=message_id, change=change)
        await self._committer.run(partial(work, expected=expected, by=self._changed_by()))
        return await find_message(self._database, account_id, message_id)

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Change system flags of messages in every mailbox that contains them."""
        work = partial(flags.mark_messages, account_id=account_id, message_ids=message_ids)
        return await self._committer.run(partial(work, change=FlagChange(add, remove), by=self._changed_by()))

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Remove entries permanently."""
        return await expunge.expunge_in_halves(self._committer, self._telling(), account_id, mailbox_id, uids)

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Remove a message from every mailbox of this account."""
        work = partial(expunge.delete_message, account_id=account_id, message_id=message_id, expected=expected)
        await self._committer.run(self._telling()(work), removes=True)

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Remove messages from every mailbox of this account."""
        work = partial(expunge.delete_messages, account_id=account_id, message_ids=message_ids)
        return await self._committer.run(self._telling()(work), removes=True)

    async def _spell(self, account_id: AccountId, message_id: MessageId, keywords: tuple[str, ...]) -> tuple[str, ...]:
        """Keywords as the mailboxes of a message spell them."""
        snapshot = partial(self._reading.snapshots.snapshot, account_id)
        for name in (await find_message(self._database, account_id, message_id)).mailboxes:
            keywords = spell(keywords, (await self._named(account_id, name, snapshot)).keywords)
        return keywords
