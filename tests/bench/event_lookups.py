"""The event log at size: how long a lookup takes among millions of events, and what each index costs an insertion.

    python -m tests.bench.event_lookups [--events 10000000] [--insertions 20000]

The events are those of messages that arrived in the last 30 days, five of each: nine in ten were delivered and read,
one in ten was sent elsewhere. SQL makes them, so that ten million take minutes. Not a part of `make bench`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.event_rules import EventRules
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.events.partitions import DAY_SECONDS, make_ahead
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.schema.tables import message_events
from relate_mailstore.sql.store import SqlMailStore, open_store
from tests.bench.databases import Databases
from tests.support.postgres import durable_cluster

DAYS = 30
EVENTS_PER_MESSAGE = 5
CHUNK_MESSAGES = 100_000  # of one transaction
ACCOUNTS, SENDERS = 20_000, 50_000
BATCH_EVENTS = 40  # of one transaction, as of a batch of 20 deliveries
RUNS = 20

_LIVES = {
    "n.i % 10 > 0": ("received", "delivered", "read", "moved", "deleted"),
    "n.i % 10 = 0": ("received", "queued", "attempted", "deferred", "relayed"),
}
_ID = {
    SQLITE: "printf('%032x', n.i)",
    POSTGRESQL: "CAST(lpad(to_hex(n.i), 32, '0') AS uuid)",
}
_FILL = """
    INSERT INTO message_events (time, name, account_id, message_id, header_message_id, sender, recipient, client,
        service, reply, detail, trace_id, span_id)
    WITH RECURSIVE n(i) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
    SELECT :began + n.i * CAST(:step AS double precision) + {number} * 0.000001, '{name}', 1 + n.i % {accounts}, {id},
        'message-' || n.i || '@senders.example', 'sender' || (n.i * 7919 % {senders}) || '@senders.example',
        'user' || (n.i % {accounts}) || '@example.org', '192.0.2.1', 'smtp', '250 2.0.0 Ok', '{{"octets": 4096}}',
        '0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'
    FROM n WHERE {condition}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--insertions", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relate-events-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with durable_cluster(directory / "postgres") as cluster:
            databases = Databases(directory, cluster)
            for kind in databases.kinds:
                asyncio.run(_measure(kind, databases.create(kind, "events"), options.events, options.insertions))


async def _measure(kind: str, url: str, events: int, insertions: int) -> None:
    engine = open_engine(url)
    await migrate(engine)
    began = time.perf_counter()
    messages = events // EVENTS_PER_MESSAGE
    await _fill(engine, messages)
    print(f"\n{kind}: {events:,} events in {time.perf_counter() - began:.0f} s", flush=True)
    async with open_store(engine) as store:
        for name, query in _queries(messages).items():
            await _time(store, name, query)
    await _insert(engine, insertions)
    await engine.dispose()


async def _fill(engine: AsyncEngine, messages: int) -> None:
    began = time.time() - DAYS * DAY_SECONDS
    if engine.dialect.name == POSTGRESQL:
        for week in range(0, DAYS, 7):
            async with engine.begin() as connection:
                await connection.run_sync(partial(make_ahead, now=began + week * DAY_SECONDS))
    step = DAYS * DAY_SECONDS / messages
    for first in range(1, messages + 1, CHUNK_MESSAGES):
        chunk = {"first": first, "last": min(first + CHUNK_MESSAGES - 1, messages), "began": began, "step": step}
        async with engine.begin() as connection:
            for statement in _statements(engine.dialect.name):
                await connection.execute(text(statement), chunk)


def _statements(dialect: str) -> Iterator[str]:
    for condition, names in _LIVES.items():
        for number, name in enumerate(names):
            yield _FILL.format(
                number=number, name=name, condition=condition, id=_ID[dialect], accounts=ACCOUNTS, senders=SENDERS
            )


def _queries(messages: int) -> dict[str, Callable[[int], EventQuery]]:
    """A query for a number, so that no two runs ask for the same rows."""

    def message(number: int) -> int:
        return 1 + number * 7_919 % messages

    def account(number: int) -> int:
        return number * 613 % min(ACCOUNTS, messages)

    return {
        "message id": lambda n: EventQuery(message_id=MessageId(UUID(int=message(n))), limit=1_000),
        "100 message ids": lambda n: EventQuery(
            message_ids=[MessageId(UUID(int=message(n * 100 + each))) for each in range(100)], limit=20_000
        ),
        "Message-ID": lambda n: EventQuery(header_message_id=f"message-{message(n)}@senders.example", heads=True),
        "sender": lambda n: EventQuery(sender=f"sender{message(n) * 7_919 % SENDERS}@senders.example", heads=True),
        "recipient": lambda n: EventQuery(recipient=f"user{account(n)}@example.org", heads=True),
        "account": lambda n: EventQuery(account_id=AccountId(1 + account(n)), heads=True),
        "newest": lambda n: EventQuery(heads=True, limit=100 + n),
        "unknown Message-ID": lambda n: EventQuery(header_message_id=f"{n}@nowhere.example", heads=True),
        "unknown recipient": lambda n: EventQuery(recipient=f"{n}@nowhere.example", heads=True),
    }


async def _time(store: SqlMailStore, name: str, query: Callable[[int], EventQuery]) -> None:
    milliseconds: list[float] = []
    found: Sequence[Event] = ()
    for number in range(RUNS):
        began = time.perf_counter()
        found = await store.events.find(query(number))
        milliseconds.append((time.perf_counter() - began) * 1000)
    print(
        f"  {name:20} {statistics.median(milliseconds):7.1f} ms median, {max(milliseconds):7.1f} ms worst,"
        f" {len(found)} events",
        flush=True,
    )


async def _insert(engine: AsyncEngine, count: int) -> None:
    """Insert pairs of `received` and `delivered`, without one index more each time."""
    await _time_insertions(engine, count, "all indexes")
    lookups = ("header_message_id", "sender", "recipient", "account_id")
    for name in lookups:
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP INDEX ix_message_events_{name}"))
        await _time_insertions(engine, count, f"without {name}")


async def _time_insertions(engine: AsyncEngine, count: int, title: str) -> None:
    """Print microseconds per event, of the median transaction and of the fastest one, because the disk varies."""
    writer = EventWriter(EventRules(), time.time)
    microseconds: list[float] = []
    for first in range(0, count, BATCH_EVENTS):
        async with engine.begin() as connection:
            began = time.perf_counter()
            await connection.run_sync(partial(_add, writer=writer, first=first))
            microseconds.append((time.perf_counter() - began) * 1e6 / BATCH_EVENTS)
    print(
        f"  {title:28} {statistics.median(microseconds):6.1f} µs median, {min(microseconds):6.1f} µs best", flush=True
    )


def _add(connection: Connection, writer: EventWriter, first: int) -> None:
    connection.execute(message_events.select().limit(1))  # begins the transaction
    events: list[Event] = []
    for number in range(first, first + BATCH_EVENTS, 2):
        unique = time.time_ns()
        received = Event(
            EventName.RECEIVED,
            message_id=MessageId(UUID(int=unique)),
            header_message_id=f"{unique}@senders.example",
            sender=f"sender{unique * 7_919 % SENDERS}@senders.example",
            client="192.0.2.1",
            service="smtp",
            detail={"octets": 4096},
        )
        to = unique * 613 % ACCOUNTS
        delivered = received._replace(
            name=EventName.DELIVERED, account_id=AccountId(1 + to), recipient=f"user{to}@example.org"
        )
        events += [received._replace(detail={"number": number}), delivered]
    writer.add(connection, events)


if __name__ == "__main__":
    main()
