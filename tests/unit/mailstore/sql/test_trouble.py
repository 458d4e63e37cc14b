"""When the database refuses, is full, or is gone: temporary errors that quote no mail, and no end of service."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.mime import index_message
from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.failures import database_errors, translate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, MessageIndex, MessageQuery, Receipt
from tests.support.factories import big, delivery, simple
from tests.support.postgres import Server

POISON = b"Subject: poison hunter2\r\n\r\n"
NOWHERE = "postgresql://postgres:hunter2@127.0.0.1:1/relate"


def poisoned_index(raw: bytes) -> MessageIndex:
    """An index that no database takes: its date has more than 64 bits."""
    index = index_message(raw)
    return replace(index, date=2**70) if raw == POISON else index


async def test_deliveries_at_once_share_batches(store: SqlMailStore, alice: AccountId) -> None:
    await store.provision(alice)
    receipts = await asyncio.gather(*(store.deliver(delivery(alice, origin=f"o{n}")) for n in range(30)))
    assert max(receipt.batch for receipt in receipts) > 1
    assert {receipt.leader for receipt in receipts if receipt.batch > 1} <= {f"o{n}" for n in range(30)}


async def test_a_message_that_the_database_refuses_hurts_only_itself(engine: AsyncEngine, alice: AccountId) -> None:
    async with open_store(engine, poisoned_index) as store:
        await store.provision(alice)
        raws = [simple(str(number)) for number in range(10)]
        raws[4] = POISON
        deliveries = (store.deliver(delivery(alice, raw=raw)) for raw in raws)
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        assert [type(result) for result in results] == [Receipt] * 4 + [StoreError] + [Receipt] * 5
        assert "hunter2" not in str(results[4])
        assert (await store.mailbox(alice)).messages == 9


async def test_an_sqlite_database_that_is_full_takes_mail_again_when_there_is_room(
    sqlite_url: str, alice: AccountId
) -> None:
    engine = open_engine(sqlite_url)
    async with open_store(engine) as store:
        await store.deliver(delivery(alice))
        await limit_pages(engine, store, 200)
        with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
            await store.deliver(delivery(alice, raw=big(2_000_000)))
        assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [1]
        await limit_pages(engine, store, 100_000)
        assert (await store.deliver(delivery(alice, raw=big(2_000_000)))).entered[0][1] == 2
    await engine.dispose()


async def limit_pages(engine: AsyncEngine, store: SqlMailStore, pages: int) -> None:
    """Bound the file's size: a matter of each connection."""
    await store.close()
    connections = [await engine.connect() for _ in range(8)]
    for connection in connections:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        await connection.close()
    store.__init__(engine)  # type: ignore[misc] # opened anew on the same connections
    await store.start()


async def test_an_sqlite_file_that_is_no_database_is_unavailable(sqlite_url: str, alice: AccountId) -> None:
    engine = open_engine(sqlite_url.replace("relate.db", "conftest.py"))
    assert engine.url.database is not None
    with open(engine.url.database, "wb") as file:
        file.write(b"no database" * 1000)
    async with open_store(engine) as store:
        with pytest.raises(StoreUnavailable):
            await store.ping()
        with pytest.raises(StoreUnavailable):
            await store.deliver(delivery(alice))
    await engine.dispose()


@pytest.mark.postgres
async def test_a_restarted_server_is_not_noticed(postgres_url: str, alice: AccountId) -> None:
    engine = open_engine(postgres_url)
    async with open_store(engine) as store:
        await store.deliver(delivery(alice))
        await store.snapshot(alice)
        await end_backends(postgres_url)
        assert (await store.mailbox(alice)).messages == 1
        await end_backends(postgres_url)
        assert (await store.deliver(delivery(alice))).entered[0][1] == 2
        assert len((await store.snapshot(alice)).entries) == 2
    await engine.dispose()


@pytest.mark.postgres
async def test_a_server_that_is_gone_is_a_temporary_error_until_it_is_back(
    postgres_server: Server, postgres_url: str, alice: AccountId
) -> None:
    engine = open_engine(postgres_url)
    database = engine.url.database
    async with open_store(engine) as store:
        await store.deliver(delivery(alice))
        postgres_server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        await end_backends(postgres_server.url("postgres"), database)
        for work in (
            store.ping(),
            store.deliver(delivery(alice)),
            store.snapshot(alice),
            store.find(alice, MessageQuery()),
            store.check_quota(alice, 1, 10),
        ):
            with pytest.raises(StoreUnavailable):
                await work
        results = await asyncio.gather(*(store.deliver(delivery(alice)) for _ in range(10)), return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailable] * 10
        postgres_server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
        assert (await store.deliver(delivery(alice))).entered[0][1] == 2
    await engine.dispose()


async def end_backends(url: str, database: str | None = None) -> None:
    """End every other connection to a database, as a restart does."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE pid <> pg_backend_pid() AND datname = {repr(database) if database else 'current_database()'}"
        )
    finally:
        await connection.close()


async def test_a_server_that_never_was_fails_the_start(alice: AccountId) -> None:
    engine = open_engine(NOWHERE)
    with pytest.raises(StoreUnavailable) as caught:
        async with open_store(engine):
            pass
    assert "hunter2" not in str(caught.value)
    await engine.dispose()


@pytest.mark.postgres
async def test_a_mailbox_that_somebody_holds_too_long_is_a_temporary_error(
    postgres_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relate_mailstore.sql.engine.LOCK_SECONDS", 0.2)
    engine = open_engine(postgres_url)
    async with open_store(engine) as store:
        await store.deliver(delivery(alice))
        async with engine.begin() as connection:
            await connection.execute(text("SELECT * FROM mailboxes FOR UPDATE"))
            with pytest.raises(StoreUnavailable, match="55P03"):
                await store.deliver(delivery(alice))
        assert (await store.deliver(delivery(alice))).entered[0][1] == 2
    await engine.dispose()


async def test_an_error_quotes_nothing_that_was_stored(engine: AsyncEngine) -> None:
    statement = text("INSERT INTO blobs (id, part, octets) VALUES (:id, 0, :octets)")
    parameters = {"id": "0" * 32, "octets": b"hunter2"}
    with pytest.raises(StoreError, match="refused a row") as caught:
        with database_errors:
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    statement = text(
                        "INSERT INTO mailboxes SELECT 1, 2, 'hunter2', 1, 1, 1, '', true, 1, 1 WHERE :id != ''"
                    )
                    parameters = {"id": "x"}
                for _ in range(2):
                    await connection.execute(statement, parameters)
    assert "hunter2" not in str(caught.value)
    assert not caught.value.temporary
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), StoreUnavailable),
        (ConnectionRefusedError(111, "refused"), StoreUnavailable),
        (OverflowError("int too large: hunter2"), StoreError),
        (DBAPIError("INSERT", {"subject": "hunter2"}, OSError(28, "hunter2")), StoreUnavailable),
        (asyncpg.DataError("invalid input for query argument $1: 'hunter2'"), StoreUnavailable),
    ],
)
def test_drivers_errors_are_translated_without_their_text(error: Exception, expected: type[StoreError]) -> None:
    translated = translate(error)
    assert type(translated) is expected
    assert "hunter2" not in str(translated)
