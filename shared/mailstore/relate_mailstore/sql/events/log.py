"""`SqlEventLog`: finds events, trims them, and stores refusals and first reads in batches.

A refusal has no commit that it could share, and costs a stranger nothing: it is stored up to a second after the reply,
by a commit that does not wait for the disk. What cannot be stored in time is counted and told in the summary. So is
the first read of a message, whose flag is not durable at once either (`first_reads`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    TextClause,
    func,
    literal,
    literal_column,
    null,
    select,
    text,
    true,
)

from relate_mailstore.errors import StoreError
from relate_mailstore.event_rules import head_names
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.refusals import RefusalLimit
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, ids, one_of
from relate_mailstore.sql.events.first_reads import FirstReads
from relate_mailstore.sql.events.partitions import DAY_SECONDS, drop_before, make_ahead
from relate_mailstore.sql.events.writer import EventWriter, parse_event
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import is_one_of, message_events
from relate_supervisor import Supervisor

GATHER_SECONDS = 0.5  # refusals of this time share a commit
RETRY_SECONDS = 5.0  # after a failure of the database
BATCH_EVENTS = 500
MAX_PENDING_EVENTS = 5_000  # of refusals that wait to be stored, about 5 MB
TRIM_EVENTS = 5_000  # per transaction on SQLite, about 20 ms

# Without statistics, PostgreSQL would walk the index of `time`, and all events, to find the newest of a message.
_TIME_WITHOUT_INDEX = message_events.c.time + literal_column("0")

_RELAX = select(func.set_config("synchronous_commit", "off", true()))
_TRIM_SOME = text(
    "DELETE FROM message_events WHERE rowid IN"
    " (SELECT rowid FROM message_events WHERE time < :before ORDER BY time LIMIT :count)"
)

_log = structlog.get_logger(__name__)


class SqlEventLog:
    """`EventLog` on a database. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        transact: Transact,
        writer: EventWriter,
        supervisor: Supervisor,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._transact = transact
        self._writer = writer
        self._supervisor = supervisor
        self._clock = clock
        self._limit = RefusalLimit(writer.rules.refused_per_client_hour)
        self._pending: deque[Event] = deque()
        self._reads = FirstReads(writer)
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._storing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def start(self) -> None:
        """Start the task that stores refusals."""
        self._task = self._supervisor.keep("mailstore.events", self._run, self._closing)

    async def close(self) -> None:
        """Store the refusals that wait, and the summaries of the present hour."""
        self._closing.set()
        self._arrived.set()
        if self._task is not None:
            await self._task

    def refused(self, events: Sequence[Event]) -> None:
        """Store refusals up to the limit, soon."""
        now = self._clock()
        self._pending.extend(self._limit.turn(now))
        for event in events:
            if self._limit.admit(event):
                if len(self._pending) < MAX_PENDING_EVENTS:
                    self._pending.extend(self._writer.rules.stored([event], now))  # cut before they wait
                else:
                    self._limit.omit(event)
        self._arrived.set()

    def on_commit(self, committed: Committed[Any]) -> None:
        """Store soon which messages a change of flags has marked as read."""
        for delta in committed.deltas:
            if delta.read:
                self._reads.add(delta.read, self._clock())
                self._arrived.set()

    async def flush(self) -> None:
        """Store the refusals and the first reads that wait. Raises StoreUnavailable."""
        async with self._storing:
            while self._pending:
                batch = [self._pending[place] for place in range(min(BATCH_EVENTS, len(self._pending)))]
                await self._transact(partial(self._store, events=batch), durable=False)
                for _ in batch:
                    self._pending.popleft()
            while self._reads:
                reads = self._reads.batch()
                await self._transact(partial(self._store_reads, events=reads), durable=False)
                self._reads.stored(reads)

    async def find(self, query: EventQuery) -> Sequence[Event]:
        """The newest events that match, in the order of their times."""
        of_messages = query.message_id is not None or query.message_ids is not None
        order = _TIME_WITHOUT_INDEX if of_messages else message_events.c.time
        statement = select(message_events).where(*self._conditions(query)).order_by(order.desc()).limit(query.limit)
        parameters = {} if query.message_ids is None else {"message_ids": list(query.message_ids)}
        return [parse_event(row) for row in reversed(await self._database.fetch_composed(statement, parameters))]

    async def trim(self, before: float) -> int:
        """Remove old events: by partition on PostgreSQL, some at a time on SQLite."""
        if self._database.dialect == POSTGRESQL:
            return await self._transact(partial(drop_before, before=before))
        removed = 0
        while some := await self._transact(partial(_trim_some, before=before), durable=False):
            removed += some
        return removed

    async def maintain(self) -> int:
        """Make partitions, and remove the events that are older than the rules say; how many."""
        if self._database.dialect == POSTGRESQL:
            await self._transact(partial(make_ahead, now=self._clock()))
        return await self.trim(self._clock() - self._writer.rules.retention_days * DAY_SECONDS)

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self._wait()
            self._pending.extend(self._limit.turn(self._clock()))
            await self._pause(GATHER_SECONDS)
            if not await self._try_flush():
                await self._pause(RETRY_SECONDS)
                self._arrived.set()
        self._pending.extend(self._limit.end(self._clock()))
        await self._try_flush()

    async def _wait(self) -> None:
        """Wait for a refusal, or for the end of an hour of which refusals were omitted."""
        ends = self._limit.ends
        with suppress(TimeoutError):
            async with asyncio.timeout(None if ends is None else max(0.0, ends - self._clock())):
                await self._arrived.wait()
        self._arrived.clear()

    async def _pause(self, seconds: float) -> None:
        """Wait for this time, or until the log is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _try_flush(self) -> bool:
        if not self._pending and not self._reads:
            return True
        try:
            with self._supervisor.tracing.work("mailstore.events.refused"):
                await self.flush()
        except StoreError as error:
            if not self._failing:
                _log.warning("events.failed", error=str(error))
            self._failing = True
            return False
        self._failing = False
        return True

    def _store_reads(self, connection: Connection, events: Sequence[Event]) -> None:
        if connection.dialect.name == POSTGRESQL:
            connection.execute(_RELAX)
        self._reads.store(connection, events)

    def _store(self, connection: Connection, events: Sequence[Event]) -> None:
        if connection.dialect.name == POSTGRESQL:
            connection.execute(_RELAX)
        self._writer.add_stored(connection, events)

    def _conditions(self, query: EventQuery) -> Iterator[ColumnElement[bool] | TextClause]:
        columns, rules, header_message_id = message_events.c, self._writer.rules, query.header_message_id
        yield columns.time >= query.since
        if query.before is not None:
            yield columns.time < query.before
        if query.name is not None:  # as a literal, so that the index of queued messages is known to have the rows
            yield columns.name == literal(query.name.value, literal_execute=True)
        if query.heads:
            yield is_one_of(head_names(query))
        if query.message_ids is not None:
            yield one_of(columns.message_id, ids("message_ids"))
        yield from _by_first_index(
            [
                (columns.message_id, query.message_id),
                (columns.header_message_id, None if header_message_id is None else storable(header_message_id)),
                (columns.account_id, query.account_id),
                (columns.recipient, None if query.recipient is None else storable(rules.address(query.recipient))),
                (columns.sender, None if query.sender is None else storable(rules.address(query.sender))),
            ]
        )


def _by_first_index(values: Sequence[tuple[Column[Any], Any]]) -> Iterator[ColumnElement[bool]]:
    """Conditions of which only the first may use an index, because the planner cannot know which one has fewer rows.

    Their order is that of `head_names`.
    """
    given = [(column, value) for column, value in values if value is not None]
    for number, (column, value) in enumerate(given):
        yield column == value if number == 0 else func.coalesce(column, null()) == value


def _trim_some(connection: Connection, before: float) -> int:
    return connection.execute(_TRIM_SOME, {"before": before, "count": TRIM_EVENTS}).rowcount
