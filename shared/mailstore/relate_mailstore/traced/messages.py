"""`MessageStore`, traced."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.traced.operations import EXPECTED_ERRORS, TracedBase
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
    MessageId,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Uid,
)


class TracedMessageStore(TracedBase):
    """`MessageStore` that delegates to a store, with a span for each call."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Sets the origin. Traced as `mailstore.deliver`."""
        origin = self._operations.origin()
        with self._operations.operation("mailstore.deliver", _describe(delivery), EXPECTED_ERRORS) as operation:
            receipt = await self._store.deliver(replace(delivery, origin=origin))
            operation.set("mailstore.batch", receipt.batch)
            operation.set("mailstore.message_id", str(receipt.message_id))
            return receipt

    async def answered_request(self, account_id: AccountId, key_hash: str) -> AnsweredRequest | None:
        """Traced as `mailstore.answered_request`."""
        with self._span("answered_request", account_id):
            return await self._store.answered_request(account_id, key_hash)

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        """Traced as `mailstore.tell_held`."""
        with self._span("tell_held", account_id, octets=len(notice.raw)):
            return await self._store.tell_held(account_id, limit, notice)

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        """Sets the origin. Traced as `mailstore.append`."""
        origin = self._operations.origin()
        octets = sum(len(message.raw) for message in messages)
        with self._span("append", account_id, messages=len(messages), octets=octets):
            stamped = [replace(message, origin=origin) for message in messages]
            return await self._store.append(account_id, mailbox, stamped, replaces, quota)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        target: str,
        quota: int | None = None,
    ) -> Copied:
        """Traced as `mailstore.copy`; the command is linked to the deliveries of the messages."""
        with self._span("copy", account_id, uids=len(uids)) as operation:
            copied = await self._store.copy(account_id, mailbox_id, uids, target, quota)
            operation.set("mailstore.entries", len(copied.uids))
        return self._link_to(copied)

    async def move(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str) -> Copied:
        """Traced as `mailstore.move`; the command is linked to the deliveries of the messages."""
        with self._span("move", account_id, uids=len(uids)) as operation:
            copied = await self._store.move(account_id, mailbox_id, uids, target)
            operation.set("mailstore.entries", len(copied.uids))
        return self._link_to(copied)

    async def set_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        change: FlagChange,
        unchanged_since: ModSeq | None = None,
    ) -> Flagged:
        """Traced as `mailstore.set_flags`."""
        with self._span("set_flags", account_id, uids=len(uids)) as operation:
            flagged = await self._store.set_flags(account_id, mailbox_id, uids, change, unchanged_since)
            operation.set("mailstore.entries", len(flagged.entries))
            return flagged

    async def flag_message(
        self, account_id: AccountId, message_id: MessageId, change: FlagChange, expected: MessageState | None = None
    ) -> ListedMessage:
        """Traced as `mailstore.flag_message`."""
        with self._span("flag_message", account_id) as operation:
            listed = await self._store.flag_message(account_id, message_id, change, expected)
            operation.set("mailstore.mailboxes", len(listed.mailboxes))
            return listed

    async def mark_messages(
        self, account_id: AccountId, message_ids: Collection[MessageId], add: int = 0, remove: int = 0
    ) -> int:
        """Traced as `mailstore.mark_messages`."""
        with self._span("mark_messages", account_id) as operation:
            marked = await self._store.mark_messages(account_id, message_ids, add, remove)
            operation.set("mailstore.messages", marked)
            return marked

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        """Traced as `mailstore.expunge`."""
        with self._span("expunge", account_id, uids=len(uids)) as operation:
            expunged = await self._store.expunge(account_id, mailbox_id, uids)
            operation.set("mailstore.entries", len(expunged))
            return expunged

    async def delete_message(
        self, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
    ) -> None:
        """Traced as `mailstore.delete_message`."""
        with self._span("delete_message", account_id):
            await self._store.delete_message(account_id, message_id, expected)

    async def delete_messages(self, account_id: AccountId, message_ids: Collection[MessageId]) -> int:
        """Traced as `mailstore.delete_messages`."""
        with self._span("delete_messages", account_id) as operation:
            deleted = await self._store.delete_messages(account_id, message_ids)
            operation.set("mailstore.messages", deleted)
            return deleted

    def _link_to(self, copied: Copied) -> Copied:
        for origin in copied.origins:
            self._operations.link_reader(origin)
        return copied


def _describe(delivery: Delivery) -> dict[str, int]:
    """The attributes of a delivery's span; the account only if there is just one, because a key has one value."""
    attributes = {"mailstore.octets": len(delivery.raw), "mailstore.destinations": len(delivery.destinations)}
    if delivery.outgoing is not None:
        attributes["mailstore.recipients"] = len(delivery.outgoing.recipients)
    accounts = {destination.account_id for destination in delivery.destinations}
    if len(accounts) == 1:
        attributes["mailstore.account"] = accounts.pop()
    return attributes
