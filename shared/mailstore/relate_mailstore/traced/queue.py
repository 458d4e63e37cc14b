"""The telemetry decorator of the queue: most calls have a span `mailstore.queue.<method>`, as in `traced`.

It sets the `origin` of reports to local senders. Attributes are counts and octets, never addresses or domains. Calls
that nearly always find nothing, or wait, have no span: `beat`, `next_due`, `changes`, `statistics`.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace

from relate_mailstore.event_types import Event
from relate_mailstore.ports import QueueStore, RawMessage
from relate_mailstore.queue_types import (
    AttemptResult,
    Claimed,
    Lease,
    QueueFilter,
    QueuePage,
    QueueStatistics,
    RecipientId,
    StsPolicy,
    Suspension,
)
from relate_mailstore.traced.operations import EXPECTED_ERRORS, Operation, Operations
from relate_mailstore.types import Delivery, MessageId


class TracedQueueStore:
    """`QueueStore` that delegates to another one, with a span for each call."""

    def __init__(self, queue: QueueStore, operations: Operations) -> None:
        self._queue = queue
        self._operations = operations

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        """Traced as `mailstore.queue.claim`."""
        with self._span("claim", limit=limit) as operation:
            claimed = await self._queue.claim(runner, limit, per_destination, busy)
            operation.set("mailstore.recipients", len(claimed))
            return claimed

    async def beat(self, runner: str) -> Mapping[str, int]:
        """Not traced: see `QueueStore`."""
        return await self._queue.beat(runner)

    async def end_leases(self, runners: Collection[str]) -> int:
        """Traced as `mailstore.queue.end_leases`."""
        with self._span("end_leases") as operation:
            return _count(operation, await self._queue.end_leases(runners))

    async def suspend(self, domain: str, reply: str) -> None:
        """Traced as `mailstore.queue.suspend`."""
        with self._span("suspend"):
            await self._queue.suspend(domain, reply)

    async def resume(self, domain: str) -> None:
        """Traced as `mailstore.queue.resume`."""
        with self._span("resume"):
            await self._queue.resume(domain)

    async def settle(
        self,
        results: Sequence[AttemptResult],
        deliveries: Sequence[Delivery] = (),
        events: Sequence[Event] = (),
    ) -> Sequence[Lease]:
        """Sets the origin of the deliveries. Traced as `mailstore.queue.settle`."""
        origin = self._operations.origin()
        with self._span("settle", recipients=len(results), messages=len(deliveries)) as operation:
            reports = [replace(delivery, origin=origin) for delivery in deliveries]
            lost = await self._queue.settle(results, reports, events)
            operation.set("mailstore.lost_leases", len(lost))
            return lost

    async def next_due(self, except_domains: Collection[str] = ()) -> float | None:
        """Not traced: see `QueueStore`."""
        return await self._queue.next_due(except_domains)

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Not traced: see `QueueStore`."""
        return self._queue.changes()

    async def open(self, message_id: MessageId) -> RawMessage:
        """Traced as `mailstore.queue.open`."""
        with self._span("open") as operation:
            opened = await self._queue.open(message_id)
            operation.set("mailstore.octets", opened.size)
            return opened

    async def find(self, query: QueueFilter, limit: int, cursor: RecipientId | None = None) -> QueuePage:
        """Traced as `mailstore.queue.find`."""
        with self._span("find", limit=limit) as operation:
            page = await self._queue.find(query, limit, cursor)
            operation.set("mailstore.recipients", len(page.items))
            return page

    async def hold(self, query: QueueFilter) -> int:
        """Traced as `mailstore.queue.hold`."""
        with self._span("hold") as operation:
            return _count(operation, await self._queue.hold(query))

    async def release(self, query: QueueFilter) -> int:
        """Traced as `mailstore.queue.release`."""
        with self._span("release") as operation:
            return _count(operation, await self._queue.release(query))

    async def retry(self, query: QueueFilter) -> int:
        """Traced as `mailstore.queue.retry`."""
        with self._span("retry") as operation:
            return _count(operation, await self._queue.retry(query))

    async def drop(self, query: QueueFilter) -> int:
        """Traced as `mailstore.queue.drop`."""
        with self._span("drop") as operation:
            return _count(operation, await self._queue.drop(query))

    async def statistics(self) -> QueueStatistics:
        """Not traced: see `QueueStore`."""
        return await self._queue.statistics()

    async def suspensions(self, limit: int) -> Sequence[Suspension]:
        """Traced as `mailstore.queue.suspensions`."""
        with self._span("suspensions", limit=limit):
            return await self._queue.suspensions(limit)

    async def sts_policies(self, limit: int) -> Sequence[StsPolicy]:
        """Traced as `mailstore.queue.sts_policies`."""
        with self._span("sts_policies", limit=limit):
            return await self._queue.sts_policies(limit)

    async def store_sts_policy(self, policy: StsPolicy) -> None:
        """Traced as `mailstore.queue.store_sts_policy`."""
        with self._span("store_sts_policy"):
            await self._queue.store_sts_policy(policy)

    def _span(self, method: str, **numbers: int) -> AbstractContextManager[Operation]:
        attributes = {f"mailstore.{key}": number for key, number in numbers.items()}
        return self._operations.operation(f"mailstore.queue.{method}", attributes, EXPECTED_ERRORS)


def _count(operation: Operation, changed: int) -> int:
    operation.set("mailstore.recipients", changed)
    return changed
