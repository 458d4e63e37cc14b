"""`RawStore`, traced."""

from collections.abc import Sequence

from relate_mailstore.ports import RawMessage
from relate_mailstore.traced.operations import Operation, TracedBase
from relate_mailstore.types import AccountId, MessageId, Rendering
from relate_mime import MessageIndex


class TracedRawStore(TracedBase):
    """`RawStore` that delegates to a store, with a span for each call."""

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


def _count_prefetched(operation: Operation, ahead: Sequence[MessageId]) -> None:
    if ahead:
        operation.set("mailstore.ahead", len(ahead))
