"""The transaction that stores the results of attempts, and the reports about them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam

from relate_mailstore.errors import StoreError
from relate_mailstore.event_types import Event
from relate_mailstore.queue_rules import Schedule
from relate_mailstore.queue_rules import settle as settle_schedule
from relate_mailstore.queue_types import AttemptResult, Lease, QueueState
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.notices.queue_changes import announce
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
from relate_mailstore.sql.write.deliver import lock_targets, plan_batch, store_plan
from relate_mailstore.sql.write.group_commit import QueuedDelivery


class Told(NamedTuple):
    """What a runner tells at once: results, reports that are ready to be stored, and events."""

    results: Sequence[AttemptResult]
    batch: Sequence[QueuedDelivery]
    events: Sequence[Event]


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
    results = [*{result.lease.recipient_id: result for result in results}.values()]  # one for each recipient
    locked = lock_targets(connection, batch)  # mailboxes are locked before rows of the queue
    rows = {row.id: row for row in lock_recipients(connection, [result.lease.recipient_id for result in results])}
    held = {Lease(row.id, row.attempts) for row in rows.values() if row.state == QueueState.LEASED}
    lost = [result.lease for result in results if result.lease not in held]
    if lost:
        return Committed(lost, ())
    plan = plan_batch(batch, locked, now)
    for outcome in plan.results:
        if isinstance(outcome, StoreError):
            raise outcome
    store_plan(connection, plan)
    settled = [(row := rows[one.lease.recipient_id], one, settle_schedule(schedule_of(row), one)) for one in results]
    finished = set(finish_messages(connection, [(row, schedule) for row, _, schedule in settled]))
    kept = [_row(*one) for one in settled if one[0].message_id not in finished]
    if kept:
        run_many(connection, _SET_RESULT, kept)
    requested = [(row, schedule) for row, result, schedule in settled if schedule.state is not result.state]
    writer.add(connection, [*events, *plan.events, *events_of(requested)])
    suppress(connection, [*plan.suppressions, *(one.suppression for one in results if one.suppression)])
    is_due = plan.queues or any(schedule.due is not None for *_, schedule in settled)
    if is_due and not plan.queues:
        announce(connection)
    return Committed([], plan.dirty_deltas, queue_changed=is_due)


def _row(row: Any, result: AttemptResult, schedule: Schedule) -> dict[str, object]:
    return {
        **schedule_row(row.id, schedule),
        "new_reply": storable(result.reply),
        "new_status": storable(result.status),
        "new_trace": storable(result.trace),
        "new_delay_told": bool(row.delay_told) or result.delay_told,
    }
