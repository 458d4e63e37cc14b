"""`SqlQueueStore`: the queue on SQLite and PostgreSQL.

Times are by the clock of the process, on both databases: hosts whose clocks differ by a second attempt a second early
or late. Leases do not depend on a clock.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from sqlalchemy import Connection, and_, select

from relate_mailstore import queue_rules
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.event_types import Event
from relate_mailstore.ports import RawMessage
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
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.coalesce import Coalescer
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.driver.disk_reserve import DiskReserve
from relate_mailstore.sql.due_changes import DueChanges
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.queue import operators, sts_policies, suspensions
from relate_mailstore.sql.queue.claim import claim, pull_back
from relate_mailstore.sql.queue.due import NEXT_DUE
from relate_mailstore.sql.queue.runners import beat, forget
from relate_mailstore.sql.queue.settle import QueuedSettlement, Told, settle, settle_all
from relate_mailstore.sql.read.blobs import SMALL_OCTETS, LargeMessage, SmallMessage
from relate_mailstore.sql.schema.tables import blobs, queue_messages
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.deliveries import Deliveries
from relate_mailstore.sql.write.group_commit import GroupCommit
from relate_mailstore.types import Delivery, MessageId
from relate_supervisor import Supervisor

SETTLED_RECIPIENTS = 1_000  # of one transaction

_OPEN = (
    select(queue_messages.c.id, queue_messages.c.size, queue_messages.c.origin, blobs.c.octets)
    .outerjoin(
        blobs,
        and_(blobs.c.id == queue_messages.c.id, blobs.c.part == 0, queue_messages.c.size <= SMALL_OCTETS),
    )
    .where(one_of(queue_messages.c.id, ids("message_ids")))
)


class SqlQueueStore:
    """`QueueStore` on a database. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        committer: Committer,
        deliveries: Deliveries,
        changes: DueChanges,
        reserve: DiskReserve | None,
        *,
        writer: EventWriter,
        clock: Callable[[], float],
        supervisor: Supervisor,
    ) -> None:
        self._database = database
        self._committer = committer
        self._deliveries = deliveries
        self._changes = changes
        self._reserve = reserve
        self._writer = writer
        self._clock = clock
        self._settlements: GroupCommit[QueuedSettlement, Sequence[Lease]] = GroupCommit(
            self._settle_all, supervisor, "mailstore.queue_writer", SETTLED_RECIPIENTS
        )
        self._open = Coalescer(self._open_all)
        self._latest = float("inf")  # the latest time that was read; before the first claim the clock may have been set

    def start(self) -> None:
        """Start the writer of results."""
        self._settlements.start()

    async def close(self) -> None:
        """Store the results that were told, and refuse new ones."""
        await self._settlements.close()
        await self._open.close()

    async def claim(self, runner: str, limit: int, per_destination: int, busy: Mapping[str, int]) -> Sequence[Claimed]:
        """Lease recipients that are due; a read, and no transaction, if none is."""
        now = self._clock()
        if now < self._latest:
            await self._committer.run_without_notice(partial(pull_back, now=now), durable=False)
        self._latest = now
        full = [domain for domain, leased in busy.items() if leased >= per_destination]
        due = await self.next_due(full)
        if due is None or due > now:
            return ()
        work = partial(
            claim,
            runner=runner,
            limit=limit,
            per_destination=per_destination,
            busy=busy,
            now=now,
        )
        # Flushed: a claim that a crash undoes, while its message is being sent, is claimed and sent once more.
        return await self._committer.run_without_notice(work)

    async def beat(self, runner: str) -> Mapping[str, int]:
        """Count a beat of a runner."""
        return await self._committer.run_without_notice(partial(beat, runner=runner), durable=False)

    async def end_leases(self, runners: Collection[str]) -> int:
        """Make what runners have leased due at once, or what an operator requested."""
        ended = 0
        while batch := await self._committer.run(partial(self._end_leases, runners=runners), removes=True):
            ended += batch
        return ended

    async def suspend(self, domain: str, reply: str) -> None:
        """Suspend a destination."""
        work = partial(suspensions.suspend, domain=domain, reply=reply, now=self._clock())
        await self._committer.run_without_notice(work, durable=False)

    async def resume(self, domain: str) -> None:
        """End the suspension of a destination."""
        work = partial(suspensions.resume, domain=domain, now=self._clock())
        await self._committer.run(work, durable=False)

    async def settle(
        self,
        results: Sequence[AttemptResult],
        deliveries: Sequence[Delivery] = (),
        events: Sequence[Event] = (),
    ) -> Sequence[Lease]:
        """Store results, deliveries and events; accounts without mailboxes are provisioned.

        Results without deliveries wait for the transaction that runs, and share the next one.
        """
        if not deliveries:
            return await self._settlements.submit(QueuedSettlement(Told(results, (), events)))
        batch = [await self._deliveries.prepare(delivery) for delivery in deliveries]
        return await self._deliveries.attempt(batch, lambda batch: self._settle(Told(results, batch, events)))

    async def next_due(self, except_domains: Collection[str] = ()) -> float | None:
        """When the first recipient is due."""
        (row,) = await self._database.fetch(NEXT_DUE, {"except_domains": except_domains})
        due: float | None = row.due
        return due

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over the changes of what is due."""
        return self._changes.subscribe()

    async def open(self, message_id: MessageId) -> RawMessage:
        """Open a raw message; small ones are read by the same query, which concurrent callers share."""
        raw = await self._open(message_id)
        if raw is None:
            raise MessageNotFound(f"message {message_id} in the queue")
        return raw

    async def find(self, query: QueueFilter, limit: int, cursor: RecipientId | None = None) -> QueuePage:
        """One page of the recipients that match."""
        return await operators.find_page(self._database, query, limit, cursor)

    async def hold(self, query: QueueFilter) -> int:
        """See `QueueStore.hold`."""
        return await self._change(query, queue_rules.hold)

    async def release(self, query: QueueFilter) -> int:
        """Queue held recipients that match."""
        return await self._change(query, queue_rules.release)

    async def retry(self, query: QueueFilter) -> int:
        """Make recipients that match due at once."""
        return await self._change(query, queue_rules.retry)

    async def drop(self, query: QueueFilter) -> int:
        """See `QueueStore.drop`."""
        return await self._change(query, queue_rules.drop)

    async def statistics(self) -> QueueStatistics:
        """Count the recipients by state."""
        return await operators.count(self._database)

    async def suspensions(self, limit: int) -> Sequence[Suspension]:
        """The suspended destinations for which mail waits."""
        return await suspensions.find_waiting(self._database, limit)

    async def sts_policies(self, limit: int) -> Sequence[StsPolicy]:
        """The policies that have not expired."""
        return await sts_policies.find(self._database, self._clock(), limit)

    async def store_sts_policy(self, policy: StsPolicy) -> None:
        """Store the policy of a domain."""
        await self._committer.run_without_notice(partial(sts_policies.store, policy=policy, now=self._clock()))

    async def _open_all(self, message_ids: Sequence[MessageId]) -> Sequence[RawMessage | None]:
        rows = await self._database.fetch(_OPEN, {"message_ids": message_ids})
        found = {row.id: self._parse(row) for row in rows}
        return [found.get(message_id) for message_id in message_ids]

    def _parse(self, row: Any) -> RawMessage | None:
        if row.octets is not None:
            return SmallMessage(row.octets, row.origin)
        return None if row.size <= SMALL_OCTETS else LargeMessage(self._database, row.id, row.size, row.origin)

    async def _settle_all(self, batch: Sequence[QueuedSettlement]) -> Sequence[Sequence[Lease]]:
        work = partial(settle_all, batch=[each.told for each in batch], writer=self._writer, now=self._clock())
        return await self._committer.run_batch(work, removes=True)

    async def _settle(self, told: Told) -> Sequence[Lease]:
        return await self._committer.run(partial(self._settle_within_reserve, told=told), removes=not told.batch)

    def _settle_within_reserve(self, connection: Connection, told: Told) -> Committed[Sequence[Lease]]:
        if self._reserve and told.batch:
            self._reserve.ration(connection, sum(queued.weight for queued in told.batch))
        return settle(connection, told, self._writer, self._clock())

    async def _change(self, query: QueueFilter, rule: queue_rules.Change) -> int:
        changed, after = 0, RecipientId(0)
        while found := await operators.find_batch(self._database, query, after):
            changed += await self._apply(found, rule)
            after = found[-1]
        return changed

    def _end_leases(self, connection: Connection, runners: Collection[str]) -> Committed[int]:
        leased = forget(connection, runners)[: operators.BATCH_RECIPIENTS]
        return operators.change(connection, leased, queue_rules.end_lease, self._writer, self._clock())

    async def _apply(self, recipient_ids: Sequence[RecipientId], rule: queue_rules.Change) -> int:
        work = partial(operators.change, recipient_ids=recipient_ids, rule=rule, writer=self._writer, now=self._clock())
        return await self._committer.run(work, removes=True)
