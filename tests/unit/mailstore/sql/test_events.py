"""The event log in SQL: one statement per batch, refusals apart from it, and partitions on PostgreSQL."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from relate_mailstore.change_events import Actor
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_rules import MAX_REPLY_CHARACTERS, EventRules
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.sql.events import first_reads, log
from relate_mailstore.sql.events.partitions import AHEAD_DAYS, DAY_SECONDS, missing_days
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, Flag, FlagChange, MessageId, Uid
from tests.contract.outgoing import Clock, sent
from tests.support.factories import UNKNOWN_MESSAGE, delivery
from tests.unit.mailstore.sql.helpers import Explained, Statements, opened_engine

RECEIVED = Event(EventName.RECEIVED, sender="ann@example.org")
REFUSED = Event(EventName.REFUSED, client="192.0.2.1")


async def test_events_cost_a_batch_one_statement_and_none_without(
    engine: AsyncEngine, store: SqlMailStore, alice: AccountId
) -> None:
    await store.provision(alice)
    with Statements(engine) as plain:
        await store.deliver(delivery(alice))
    with Statements(engine) as told:
        await store.deliver(replace(delivery(alice), events=(RECEIVED,) * 20))
    added = [statement for statement in told if statement not in plain]
    assert len(added) == 1
    assert added[0].startswith("INSERT INTO message_events")
    assert len(told) == len(plain) + 1


MESSAGE_ID = MessageId(UUID(int=1))
LOOKUPS = {
    "header_message_id": EventQuery(header_message_id="1@example.org", heads=True),
    "sender": EventQuery(sender="ann@example.org", heads=True, since=1.0, before=9.0),
    "recipient": EventQuery(recipient="bob@a.example", sender="ann@example.org", heads=True),
    "account_id": EventQuery(account_id=AccountId(1), recipient="bob@a.example", heads=True),
    "time": EventQuery(heads=True),
    "message_id": EventQuery(message_id=MESSAGE_ID),
    "message_id of several": EventQuery(message_ids=[MESSAGE_ID, UNKNOWN_MESSAGE]),
    # Strangers decide how often this is asked: each report of another server asks it.
    "queued": EventQuery(
        EventName.QUEUED, header_message_id="1@example.org", recipient="bob@a.example", account_id=AccountId(1)
    ),
}


@pytest.mark.parametrize("name", LOOKUPS)
async def test_a_message_is_found_by_an_index(engine: AsyncEngine, store: SqlMailStore, name: str) -> None:
    """On PostgreSQL without statistics, as on the first day, when the planner may take the wrong index."""
    index = name.partition(" ")[0]
    with Explained(engine) as explained:
        await store.events.find(LOOKUPS[name])
    if engine.dialect.name == "sqlite":
        expected = f"ix_message_events_{index}"
    else:  # of each partition
        expected = {"queued": "header_message_id_idx", "time": "time_idx", "message_id": "message_id_idx"}.get(
            index, f"{index}_time_idx"
        )
    plan = await explained.plan()
    reads = [step for step in plan if re.search(r"(SEARCH|SCAN) message_events|Index (Only )?Scan|Seq Scan", step)]
    assert len(reads) > 0
    assert [step for step in reads if expected not in step] == []


async def test_refusals_are_stored_by_themselves_and_at_the_end(
    engine: AsyncEngine, store: SqlMailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "GATHER_SECONDS", 0.01)
    with Statements(engine) as statements:
        store.events.refused([REFUSED] * 150)
        assert statements == []  # no statement before the reply
        while not any("message_events" in statement for statement in statements):
            await asyncio.sleep(0.01)
    store.events.refused([REFUSED])
    await store.events.close()
    assert len(await store.events.find(EventQuery(limit=1_000))) == 101
    *_, summary = await store.events.find(EventQuery(limit=1_000))
    assert summary.detail["omitted"] == 51


async def test_refusals_wait_for_the_database_in_bounded_memory(
    store: SqlMailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> object:
        raise StoreUnavailable("the database is gone")

    monkeypatch.setattr(log, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(log, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(store.events, "_transact", fail)
        for number in range(200):
            store.events.refused([REFUSED._replace(client=f"{number}", reply="5" * 10_000)] * 50)
        while not logs:
            await asyncio.sleep(0.01)
        assert len(store.events._pending) == log.MAX_PENDING_EVENTS
        assert max(len(event.reply) for event in store.events._pending) <= MAX_REPLY_CHARACTERS
    await store.events.close()
    found = await store.events.find(EventQuery(limit=20_000))
    omitted = sum(int(event.detail.get("omitted") or 0) for event in found)
    assert sum(not event.detail for event in found) + omitted == 10_000
    assert [entry["event"] for entry in logs] == ["events.failed"]


async def test_a_first_read_adds_no_statement_to_the_change_of_flags(
    engine: AsyncEngine, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    mailbox = await store.mailbox(alice)
    imap = store.acting(Actor("imap"))
    with Statements(engine) as statements:
        await imap.set_flags(alice, mailbox.id, [Uid(1)], FlagChange(add=Flag.SEEN))
        assert not any("message_events" in statement for statement in statements)
        await store.events.flush()
    assert sum("INSERT INTO message_events" in statement for statement in statements) == 1


def test_first_reads_wait_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_reads, "MAX_WAITING_EVENTS", 3)
    reads = first_reads.FirstReads(EventWriter(EventRules(), Clock()))
    events = [Event(EventName.READ, account_id=AccountId(1), message_id=MessageId(UUID(int=n))) for n in range(5)]
    reads.add([*events, *events[:3]], 1.0)
    batch = reads.batch()
    assert [event.message_id for event in batch] == [*(event.message_id for event in events[:3]), None]
    assert batch[-1].detail == {"omitted": 2}
    reads.stored(batch)
    assert (len(reads), reads.batch()) == (0, [])


async def test_old_events_are_removed_by_maintenance(database_url: str, alice: AccountId) -> None:
    clock = Clock()
    async with (
        opened_engine(database_url) as engine,
        open_store(engine, clock=clock, event_rules=EventRules(retention_days=2)) as store,
    ):
        for _ in range(4):
            await store.deliver(replace(delivery(alice), events=(RECEIVED,)))
            clock.now += DAY_SECONDS
        removed = await store.events.maintain()
        kept = await store.events.find(EventQuery())
        assert removed + len(kept) == 4
        assert all(event.time >= clock.now - 3 * DAY_SECONDS for event in kept)  # on PostgreSQL in whole days
        assert len(kept) <= 3


async def test_hashed_addresses_are_found(database_url: str, alice: AccountId) -> None:
    rules = EventRules(addresses="hash")
    async with opened_engine(database_url) as engine, open_store(engine, event_rules=rules) as store:
        await store.deliver(replace(delivery(alice), events=(RECEIVED,)))
        await store.deliver(sent(alice, "carol@a.example"))
        (event,) = await store.events.find(EventQuery(sender="Ann@example.org"))
        assert event.sender == rules.address("ann@example.org")


@pytest.mark.postgres
async def test_partitions_are_made_ahead_and_dropped(postgres_url: str, alice: AccountId) -> None:
    clock = Clock()
    async with opened_engine(postgres_url) as engine, open_store(engine, clock=clock) as store:
        await store.events.maintain()
        before = await partitions(engine)
        assert {"message_events_rest", "message_events_20010909", "message_events_20010916"} <= before
        await store.deliver(replace(delivery(alice), events=(RECEIVED,)))
        assert await count_rest(engine) == 0
        clock.now += 30 * DAY_SECONDS
        await store.deliver(replace(delivery(alice), events=(RECEIVED,)))  # no partition of that day
        assert await count_rest(engine) == 1
        assert await store.events.maintain() == 0
        assert "message_events_20011009" not in await partitions(engine)
        assert "message_events_20011010" in await partitions(engine)
        assert await store.events.trim(clock.now - DAY_SECONDS) == 1
        assert "message_events_20010909" not in await partitions(engine)
        (event,) = await store.events.find(EventQuery())
        assert event.time == clock.now


@pytest.mark.postgres
async def test_processes_make_the_same_partitions_once(postgres_url: str) -> None:
    clock = Clock()
    async with opened_engine(postgres_url) as one, opened_engine(postgres_url) as other:
        async with open_store(one, clock=clock) as first, open_store(other, clock=clock) as second:
            clock.now += 100 * DAY_SECONDS
            await asyncio.gather(*(store.events.maintain() for store in (first, second) * 3))
        assert "message_events_20011225" in await partitions(one)


def test_days_without_a_partition() -> None:
    now = datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    days = missing_days(frozenset({"message_events_20270101"}), now)
    assert [f"{day:%m%d}" for day in days] == ["1231", *(f"010{number}" for number in range(2, AHEAD_DAYS + 1))]


async def partitions(engine: AsyncEngine) -> set[str]:
    statement = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'message_events'::regclass")
    async with engine.connect() as connection:
        return set(await connection.scalars(statement))


async def count_rest(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM message_events_rest")) or 0)
