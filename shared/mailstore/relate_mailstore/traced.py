"""The telemetry decorator of a mail store: it delegates every call, most of them in a span `mailstore.<method>`.

It also sets the `origin` of new messages, the traceparent of the current span, which the store saves with the message;
calls that read the message later link their span to it. The decorator sets it, because nothing else in the store knows
of tracing: without it, messages have no origin.

Attributes are ids, counts and octets, never names, subjects or addresses. No span lasts as long as a session
(holding a maildrop lock, listening); `ping` and `close` have none.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Protocol

from relate_mailstore.errors import (
    MailboxExists,
    MailboxNotFound,
    MaildropInUse,
    MessageChanged,
    MessageNotFound,
    OverQuota,
    RequestRepeated,
)
from relate_mailstore.live_types import ChangeSpan, MailboxChange, Outcome
from relate_mailstore.ports import MailStore, RawMessage
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.types import (
    INBOX,
    AccountId,
    AnsweredRequest,
    Appended,
    Copied,
    Delivery,
    FlagChange,
    Flagged,
    ListedMessage,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
    MessageState,
    ModSeq,
    NewMessage,
    Receipt,
    Rendering,
    Snapshot,
    Summary,
    TextPart,
    Uid,
)
from relate_mime import MessageIndex

# Errors that are the caller's, so that the span's status is not Error.
EXPECTED_ERRORS = (
    MailboxExists,
    MailboxNotFound,
    MaildropInUse,
    MessageChanged,
    MessageNotFound,
    OverQuota,
    RequestRepeated,
    ValueError,
)


class Operation(Protocol):
    """A span that has not ended."""

    def set(self, key: str, value: int | str) -> None:
        """Set an attribute."""


class Operations(Protocol):
    """What the decorator needs of telemetry."""

    def operation(
        self, name: str, attributes: Mapping[str, int], answers: tuple[type[Exception], ...]
    ) -> AbstractContextManager[Operation]:
        """A span around a `with` block. It records and re-raises exceptions; `answers` do not set the status Error."""

    def origin(self) -> str | None:
        """The traceparent of the current span, to save with a new message."""

    def link_reader(self, traceparent: str | None) -> None:
        """Link the current command's span to the delivery of a message that it reads, unless that is None."""


class TracedMailStore:
    """`MailStore` that delegates to another one, with a span for each call."""

    def __init__(self, store: MailStore, operations: Operations) -> None:
        self._store = store
        self._operations = operations

    async def provision(self, account_id: AccountId) -> None:
        """Traced as `mailstore.provision`."""
        with self._span("provision", account_id):
            await self._store.provision(account_id)

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

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Traced as `mailstore.check_quota`."""
        with self._span("check_quota", account_id, octets=octets):
            await self._store.check_quota(account_id, octets, quota)

    async def mailbox(self, account_id: AccountId, name: str = INBOX) -> Mailbox:
        """Traced as `mailstore.mailbox`."""
        with self._span("mailbox", account_id):
            return await self._store.mailbox(account_id, name)

    async def mailboxes(self, account_id: AccountId) -> Sequence[Mailbox]:
        """Traced as `mailstore.mailboxes`."""
        with self._span("mailboxes", account_id) as operation:
            mailboxes = await self._store.mailboxes(account_id)
            operation.set("mailstore.mailboxes", len(mailboxes))
            return mailboxes

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        """Traced as `mailstore.snapshot`."""
        with self._span("snapshot", account_id) as operation:
            snapshot = await self._store.snapshot(account_id, name)
            operation.set("mailstore.messages", len(snapshot.entries))
            return snapshot

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """Not traced: nearly always nothing changed, and then the call costs less than a span."""
        return await self._store.refresh(snapshot)

    async def create_mailbox(self, account_id: AccountId, name: str, special_use: str = "") -> Mailbox:
        """Traced as `mailstore.create_mailbox`."""
        with self._span("create_mailbox", account_id):
            return await self._store.create_mailbox(account_id, name, special_use)

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        """Traced as `mailstore.delete_mailbox`."""
        with self._span("delete_mailbox", account_id):
            await self._store.delete_mailbox(account_id, name)

    async def rename_mailbox(self, account_id: AccountId, name: str, new_name: str) -> None:
        """Traced as `mailstore.rename_mailbox`."""
        with self._span("rename_mailbox", account_id):
            await self._store.rename_mailbox(account_id, name, new_name)

    async def subscriptions(self, account_id: AccountId) -> Collection[str]:
        """Traced as `mailstore.subscriptions`."""
        with self._span("subscriptions", account_id) as operation:
            names = await self._store.subscriptions(account_id)
            operation.set("mailstore.names", len(names))
            return names

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        """Traced as `mailstore.subscribe`."""
        with self._span("subscribe", account_id):
            await self._store.subscribe(account_id, name, subscribed)

    async def take_recent(self, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None = None) -> Uid:
        """Traced as `mailstore.take_recent`."""
        with self._span("take_recent", account_id):
            return await self._store.take_recent(account_id, mailbox_id, until)

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

    async def vanished(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """Traced as `mailstore.vanished`."""
        with self._span("vanished", account_id) as operation:
            vanished = await self._store.vanished(account_id, mailbox_id, modseq)
            if vanished is not None:
                operation.set("mailstore.entries", len(vanished))
            return vanished

    async def usage(self, account_id: AccountId) -> int:
        """Traced as `mailstore.usage`."""
        with self._span("usage", account_id) as operation:
            octets = await self._store.usage(account_id)
            operation.set("mailstore.octets", octets)
            return octets

    async def renderings(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[Rendering | None]:
        """Traced as `mailstore.renderings`."""
        with self._span("renderings", account_id, messages=len(message_ids)):
            return await self._store.renderings(account_id, message_ids)

    async def indexes(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[MessageIndex | None]:
        """Traced as `mailstore.indexes`."""
        with self._span("indexes", account_id, messages=len(message_ids)):
            return await self._store.indexes(account_id, message_ids)

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[bytes | None]:
        """Traced as `mailstore.headers`."""
        with self._span("headers", account_id, messages=len(message_ids)):
            return await self._store.headers(account_id, message_ids)

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """Traced as `mailstore.summaries`."""
        with self._span("summaries", snapshot.mailbox.account_id, messages=len(snapshot.entries)):
            return await self._store.summaries(snapshot)

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """Traced as `mailstore.containing`, without the text, because that is mail."""
        with self._span("containing", snapshot.mailbox.account_id, messages=len(snapshot.entries)) as operation:
            uids = await self._store.containing(snapshot, text, part)
            operation.set("mailstore.entries", len(uids))
            return uids

    async def open(self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()) -> RawMessage:
        """Traced as `mailstore.open`; the command is linked to the delivery. Spans of prefetches are its children."""
        with self._span("open", account_id) as operation:
            _count_prefetched(operation, ahead)
            raw = await self._store.open(account_id, message_id, ahead)
            operation.set("mailstore.octets", raw.size)
        self._operations.link_reader(raw.origin)
        return raw

    async def open_all(
        self, account_id: AccountId, message_ids: Sequence[MessageId], ahead: Sequence[MessageId] = ()
    ) -> Sequence[RawMessage | None]:
        """Traced as one `mailstore.open_all`; the command is linked to the deliveries of the messages."""
        with self._span("open_all", account_id, messages=len(message_ids)) as operation:
            _count_prefetched(operation, ahead)
            opened = await self._store.open_all(account_id, message_ids, ahead)
            operation.set("mailstore.octets", sum([raw.size for raw in opened if raw]))
        for origin in dict.fromkeys([raw.origin for raw in opened if raw]):
            self._operations.link_reader(origin)
        return opened

    async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
        """Traced as `mailstore.message`; the command is linked to the delivery of the message."""
        with self._span("message", account_id) as operation:
            listed = await self._store.message(account_id, message_id)
            operation.set("mailstore.octets", listed.message.index.size)
        self._operations.link_reader(listed.message.origin)
        return listed

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """Traced as `mailstore.find`, without links, because a list reads no message."""
        with self._span("find", account_id, limit=query.limit) as operation:
            page = await self._store.find(account_id, query)
            operation.set("mailstore.messages", len(page.items))
            return page

    async def counts(self, account_id: AccountId, query: MessageQuery) -> MessageCounts:
        """Traced as `mailstore.counts`."""
        with self._span("counts", account_id) as operation:
            counts = await self._store.counts(account_id, query)
            operation.set("mailstore.messages", counts.total)
            return counts

    async def senders(self, account_id: AccountId, mailbox: str) -> Sequence[str]:
        """Traced as `mailstore.senders`."""
        with self._span("senders", account_id) as operation:
            senders = await self._store.senders(account_id, mailbox)
            operation.set("mailstore.names", len(senders))
            return senders

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

    @asynccontextmanager
    async def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        """Traced as `mailstore.lock_maildrop`: only until the lock is acquired."""
        async with AsyncExitStack() as lock:
            with self._span("lock_maildrop", account_id):
                await lock.enter_async_context(self._store.lock_maildrop(account_id, wait_seconds))
            yield

    async def arrived(
        self, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, limit: int
    ) -> Sequence[MailboxChange]:
        """Not traced, like the other methods of `LiveStore`: their statements are children of the push's span."""
        return await self._store.arrived(account_id, mailbox_id, since, before, limit)

    async def changes(
        self, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
    ) -> Sequence[MailboxChange] | None:
        """Not traced: see `arrived`."""
        return await self._store.changes(account_id, mailbox_id, span, limit)

    async def follow_outcomes(self, account_id: AccountId) -> int:
        """Not traced: see `arrived`."""
        return await self._store.follow_outcomes(account_id)

    async def outcomes(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """Not traced: see `arrived`."""
        return await self._store.outcomes(account_id, after, limit)

    async def forget_subscribers(self, account_id: AccountId) -> None:
        """Not traced: see `arrived`."""
        await self._store.forget_subscribers(account_id)

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Not traced: a listener waits nearly all the time."""
        return self._store.listen(account_id)

    async def ping(self) -> None:
        """Not traced: the spans of readiness checks would outnumber those of mail."""
        await self._store.ping()

    async def close(self) -> None:
        """Close the inner store, without a span."""
        await self._store.close()

    def _link_to(self, copied: Copied) -> Copied:
        for origin in copied.origins:
            self._operations.link_reader(origin)
        return copied

    def _span(self, method: str, account_id: AccountId, **numbers: int) -> AbstractContextManager[Operation]:
        attributes = {"mailstore.account": account_id} | {f"mailstore.{key}": number for key, number in numbers.items()}
        return self._operations.operation(f"mailstore.{method}", attributes, EXPECTED_ERRORS)


def _count_prefetched(operation: Operation, ahead: Sequence[MessageId]) -> None:
    if ahead:
        operation.set("mailstore.ahead", len(ahead))


def _describe(delivery: Delivery) -> dict[str, int]:
    """The attributes of a delivery's span; the account only if there is just one, because a key has one value."""
    attributes = {"mailstore.octets": len(delivery.raw), "mailstore.destinations": len(delivery.destinations)}
    if delivery.outgoing is not None:
        attributes["mailstore.recipients"] = len(delivery.outgoing.recipients)
    accounts = {destination.account_id for destination in delivery.destinations}
    if len(accounts) == 1:
        attributes["mailstore.account"] = accounts.pop()
    return attributes
