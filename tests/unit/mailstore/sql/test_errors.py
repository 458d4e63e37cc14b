"""Errors of the database: translated without quoting mail, temporary where a retry can succeed, and not fatal."""

import asyncio
import traceback
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.sql.driver.errors import database_errors, translate
from relate_mailstore.sql.schema.tables import blobs
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, MessageQuery, Receipt
from relate_mime import MessageIndex, index_message
from tests.support.factories import big, delivery, simple
from tests.support.postgres import Server
from tests.unit.mailstore.sql.helpers import opened, opened_engine

INVALID_MESSAGE = b"Subject: invalid hunter2\r\n\r\n"
NO_SERVER = "postgresql://postgres:hunter2@127.0.0.1:1/relate"


def overflowing_index(raw: bytes) -> MessageIndex:
    """An index whose date has more than 64 bits, which no database stores."""
    index = index_message(raw)
    return replace(index, date=2**70) if raw == INVALID_MESSAGE else index


async def test_concurrent_deliveries_share_batches(store: SqlMailStore, alice: AccountId) -> None:
    await store.provision(alice)
    receipts = await asyncio.gather(*(store.deliver(delivery(alice, origin=f"o{n}")) for n in range(30)))
    assert max(receipt.batch for receipt in receipts) > 1
    assert {receipt.leader for receipt in receipts if receipt.batch > 1} <= {f"o{n}" for n in range(30)}


async def test_refused_message_does_not_fail_others_of_its_batch(engine: AsyncEngine, alice: AccountId) -> None:
    async with open_store(engine, overflowing_index) as store:
        await store.provision(alice)
        raws = [simple(str(number)) for number in range(10)]
        raws[4] = INVALID_MESSAGE
        deliveries = (store.deliver(delivery(alice, raw=raw)) for raw in raws)
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        assert [type(result) for result in results] == [Receipt] * 4 + [StoreError] + [Receipt] * 5
        assert "hunter2" not in str(results[4])
        assert (await store.mailbox(alice)).messages == 9


async def test_full_sqlite_database_stores_messages_that_fit(sqlite_url: str, alice: AccountId) -> None:
    async with opened_engine(sqlite_url) as engine:
        event.listen(engine.sync_engine, "connect", limit_pages)
        async with open_store(engine) as store:
            await store.deliver(delivery(alice))
            with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
                await store.deliver(delivery(alice, raw=big(2_000_000)))
            assert (await store.deliver(delivery(alice))).entered[0][1] == 2
            assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [1, 2]


def limit_pages(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Limit the file to 200 pages, less than a megabyte."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA max_page_count = 200")
    cursor.close()


async def test_invalid_sqlite_file_is_unavailable(tmp_path: Path, alice: AccountId) -> None:
    (tmp_path / "relate.db").write_bytes(b"no database" * 1000)
    async with opened(f"sqlite:///{tmp_path / 'relate.db'}") as (_, store):
        with pytest.raises(StoreUnavailable):
            await store.ping()
        with pytest.raises(StoreUnavailable):
            await store.deliver(delivery(alice))


@pytest.mark.postgres
async def test_restart_of_the_server_fails_no_call(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store):
        await store.deliver(delivery(alice))
        await store.snapshot(alice)
        await end_backends(postgres_url)
        assert (await store.mailbox(alice)).messages == 1
        await end_backends(postgres_url)
        assert (await store.deliver(delivery(alice))).entered[0][1] == 2
        assert len((await store.snapshot(alice)).entries) == 2


@pytest.mark.postgres
async def test_unreachable_server_is_a_temporary_error(
    postgres_server: Server, postgres_url: str, alice: AccountId
) -> None:
    async with opened(postgres_url) as (engine, store):
        database = engine.url.database
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


async def end_backends(url: str, database: str | None = None) -> None:
    """Terminate all other connections to a database, as a restart does."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE pid <> pg_backend_pid() AND datname = {repr(database) if database else 'current_database()'}"
        )
    finally:
        await connection.close()


async def test_start_without_a_server_fails() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        async with opened(NO_SERVER):
            pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.postgres
async def test_mailbox_that_stays_locked_is_a_temporary_error(
    postgres_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relate_mailstore.sql.driver.engine.LOCK_SECONDS", 0.2)
    async with opened(postgres_url) as (engine, store):
        await store.deliver(delivery(alice))
        async with engine.begin() as connection:
            await connection.execute(text("SELECT * FROM mailboxes FOR UPDATE"))
            with pytest.raises(StoreUnavailable, match="55P03"):
                await store.deliver(delivery(alice))
        assert (await store.deliver(delivery(alice))).entered[0][1] == 2


async def store_twice(engine: AsyncEngine) -> None:
    """Violate the primary key of blobs."""
    with database_errors:
        async with engine.begin() as connection:
            for _ in range(2):
                await connection.execute(insert(blobs), {"id": UUID(int=0xCAFE), "part": 0, "octets": b"hunter2"})


async def test_error_quotes_no_stored_value(engine: AsyncEngine) -> None:
    with pytest.raises(StoreError, match="refused a row") as caught:
        await store_twice(engine)
    assert not caught.value.temporary
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert "cafe" not in shown


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), StoreUnavailable),
        (ConnectionRefusedError(111, "refused"), StoreUnavailable),
        (OverflowError("int too large: hunter2"), StoreError),
        (DBAPIError("INSERT", {"subject": "hunter2"}, OSError(28, "hunter2")), StoreUnavailable),
        (asyncpg.DataError("invalid input for query argument $1: 'hunter2'"), StoreError),
    ],
)
def test_driver_errors_are_translated_without_their_message(error: Exception, expected: type[StoreError]) -> None:
    translated = translate(error)
    assert type(translated) is expected
    assert "hunter2" not in str(translated)
