"""The transactions that store the results of attempts: of one attempt with its reports, or of many without."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam

from relate_mailstore.errors import StoreError
from relate_mailstore.event_types import Event
from relate_mailstore.queue_rules import Schedule
from relate_mailstore.queue_rules import settle as settle_schedule
from relate_mailstore.queue_types import AttemptResult, Lease, QueueState
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.due_changes import QUEUE_CHANNEL, announce
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.queue.rows import (
    SET_SCHEDULE,
    events_of,
    finish_messages,
    lock_recipients,
    schedule_of,
    schedule_row,
)
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.suppressions import suppress
from relate_mailstore.sql.write.deliver import filter_and_lock, plan_batch, store_plan
from relate_mailstore.sql.write.filtering import TextNeeded
from relate_mailstore.sql.write.group_commit import QueuedDelivery


class Told(NamedTuple):
    """What a runner tells at once: results, reports that are ready to be stored, and events."""

    results: Sequence[AttemptResult]
    batch: Sequence[QueuedDelivery]
    events: Sequence[Event]


@dataclass(slots=True, eq=False)
class QueuedSettlement:
    """What a runner tells, without reports, and waits to be stored with that of other attempts."""

    told: Told
    context: Context = field(default_factory=copy_context)
    result: asyncio.Future[Sequence[Lease]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        """The number of recipients, of which a transaction takes a limited number."""
        return len(self.told.results)


_SET_RESULT = SET_SCHEDULE.values(
    reply=bindparam("new_reply"),
    status=bindparam("new_status"),
    trace=bindparam("new_trace"),
    delay_told=bindparam("new_delay_told"),
)


def settle(connection: Connection, told: Told, writer: EventWriter, now: float) -> Committed[Sequence[Lease]]:
    """Store what a runner tells, or nothing if a lease is lost; the lost leases.

    Raises MailboxNotFound, OverQuota.
    """
    results, batch, events = told
    batch, locked = filter_and_lock(connection, batch)  # mailboxes are locked before rows of the queue
    rows = _lock(connection, results)
    if lost := _lost(results, _held(rows)):
        return Committed(lost, ())
    plan = plan_batch(batch, locked, now)
    refusals = [outcome for outcome in plan.results if isinstance(outcome, StoreError)]
    if needed := [refusal.texts for refusal in refusals if isinstance(refusal, TextNeeded)]:
        raise TextNeeded(frozenset().union(*needed))
    for refusal in refusals:
        raise refusal
    store_plan(connection, plan, now)
    is_due, requested = _store(connection, results, rows)
    announced = writer.add(connection, [*events, *plan.events, *requested])
    suppress(connection, plan.suppressions)
    if is_due and not plan.queues:
        announce(connection, QUEUE_CHANNEL)
    return Committed([], plan.dirty_deltas, queue_changed=is_due or plan.queues, announced=announced)


def settle_all(
    connection: Connection, batch: Sequence[Told], writer: EventWriter, now: float
) -> Committed[Sequence[Sequence[Lease]]]:
    """Store what runners tell of several attempts, without deliveries: the lost leases of each.

    As by `settle`, of an attempt with a lost lease nothing is stored.
    """
    rows = _lock(connection, [result for told in batch for result in told.results])
    held = _held(rows)
    lost: list[Sequence[Lease]] = []
    results: list[AttemptResult] = []
    events: list[Event] = []
    for told in batch:
        lost.append(_lost(told.results, held))
        if not lost[-1]:
            held -= {result.lease for result in told.results}  # a repeated call in the same batch changes nothing
            results += told.results
            events += told.events
    is_due, requested = _store(connection, results, rows)
    announced = writer.add(connection, [*events, *requested])
    if is_due:
        announce(connection, QUEUE_CHANNEL)
    return Committed(lost, (), queue_changed=is_due, announced=announced)


def _lock(connection: Connection, results: Iterable[AttemptResult]) -> dict[int, Any]:
    return {row.id: row for row in lock_recipients(connection, [result.lease.recipient_id for result in results])}


def _held(rows: dict[int, Any]) -> set[Lease]:
    return {Lease(row.id, row.attempts) for row in rows.values() if row.state == QueueState.LEASED}


def _lost(results: Iterable[AttemptResult], held: Collection[Lease]) -> list[Lease]:
    return [result.lease for result in results if result.lease not in held]


def _store(
    connection: Connection, results: Iterable[AttemptResult], rows: dict[int, Any]
) -> tuple[bool, Sequence[Event]]:
    """Store results of leases that are held: whether a recipient is due again, and what operators had requested."""
    results = [*{result.lease.recipient_id: result for result in results}.values()]  # one for each recipient
    settled = [(row := rows[one.lease.recipient_id], one, settle_schedule(schedule_of(row), one)) for one in results]
    finished = set(finish_messages(connection, [(row, schedule) for row, _, schedule in settled]))
    kept = [_row(*one) for one in settled if one[0].message_id not in finished]
    if kept:
        run_many(connection, _SET_RESULT, kept)
    suppress(connection, [one.suppression for one in results if one.suppression])
    requested = [(row, schedule) for row, result, schedule in settled if schedule.state is not result.state]
    return any(schedule.due is not None for *_, schedule in settled), events_of(requested)


def _row(row: Any, result: AttemptResult, schedule: Schedule) -> dict[str, object]:
    return {
        **schedule_row(row.id, schedule),
        "new_reply": storable(result.reply),
        "new_status": storable(result.status),
        "new_trace": storable(result.trace),
        "new_delay_told": bool(row.delay_told) or result.delay_told,
    }
