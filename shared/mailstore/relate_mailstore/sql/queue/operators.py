"""What operators read and change of the queue, by a filter that is composed for the call.

A change of many recipients is several transactions of BATCH_RECIPIENTS, so that runners never wait long.
"""

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Select, func, select

from relate_mailstore.queue_rules import Change, retry
from relate_mailstore.queue_types import (
    WAITING_STATES,
    QueueFilter,
    QueuePage,
    QueueState,
    QueueStatistics,
    RecipientId,
)
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.due_changes import QUEUE_CHANNEL, announce
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.queue.rows import (
    LISTED,
    SET_SCHEDULE,
    events_of,
    finish_messages,
    lock_recipients,
    parse_recipient,
    schedule_of,
    schedule_row,
)
from relate_mailstore.sql.queue.suspensions import COUNT, probe_now
from relate_mailstore.sql.schema.tables import queue_messages, queue_recipients

BATCH_RECIPIENTS = 500

_STATISTICS = select(
    queue_recipients.c.state, func.count().label("recipients"), func.min(queue_recipients.c.arrived).label("oldest")
).group_by(queue_recipients.c.state)


async def find_page(database: Database, query: QueueFilter, limit: int, cursor: RecipientId | None) -> QueuePage:
    """See `QueueStore.find`."""
    statement = (
        select(*LISTED)
        .join(queue_messages, queue_messages.c.id == queue_recipients.c.message_id)
        .where(*_conditions(query), queue_recipients.c.id > (cursor or 0))
        .order_by(queue_recipients.c.id)
        .limit(limit + 1)
    )
    items = tuple(map(parse_recipient, await database.fetch_composed(statement, {})))
    page = items[:limit]
    return QueuePage(page, page[-1].recipient_id if len(items) > limit else None)


async def find_batch(database: Database, query: QueueFilter, after: RecipientId) -> Sequence[RecipientId]:
    """The first recipients that match and have a higher id, ascending; none at the end."""
    statement: Select[tuple[int]] = (
        select(queue_recipients.c.id)
        .where(*_conditions(query), queue_recipients.c.id > after)
        .order_by(queue_recipients.c.id)
        .limit(BATCH_RECIPIENTS)
    )
    return [RecipientId(row.id) for row in await database.fetch_composed(statement, {})]


def change(
    connection: Connection, recipient_ids: Collection[RecipientId], rule: Change, writer: EventWriter, now: float
) -> Committed[int]:
    """Apply an operator's change to recipients; the number of those that it changed."""
    rows = lock_recipients(connection, recipient_ids)
    changed = [(row, after) for row in rows if (after := rule(was := schedule_of(row), now)) != was]
    finished = set(finish_messages(connection, changed))
    kept = [schedule_row(row.id, after) for row, after in changed if row.message_id not in finished]
    if kept:
        run_many(connection, SET_SCHEDULE, kept)
    writer.add(connection, events_of(changed))
    if rule is retry and changed:
        probe_now(connection, {row.domain for row, _ in changed}, now)
    is_due = any(after.state is QueueState.QUEUED for _, after in changed)
    if is_due:
        announce(connection, QUEUE_CHANNEL)
    return Committed(len(changed), (), queue_changed=is_due)


async def count(database: Database) -> QueueStatistics:
    """See `QueueStore.statistics`."""
    rows = await database.fetch(_STATISTICS, {})
    counts = {QueueState(row.state): row.recipients for row in rows}
    waiting = [row.oldest for row in rows if QueueState(row.state) in WAITING_STATES]
    (destinations,) = await database.fetch(COUNT, {})
    return QueueStatistics(counts, min(waiting, default=None), destinations.suspended)


def _conditions(query: QueueFilter) -> Iterator[ColumnElement[bool]]:
    columns = queue_recipients.c
    if query.recipient_id is not None:
        yield columns.id == query.recipient_id
    if query.message_id is not None:
        yield columns.message_id == query.message_id
    if query.domain is not None:
        yield columns.domain == query.domain
    if query.account_id is not None:
        yield columns.account_id == query.account_id
    if query.state is not None:
        yield columns.state == query.state.value
    if query.older_than is not None:
        yield columns.arrived < query.older_than
