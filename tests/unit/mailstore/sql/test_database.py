"""Transactions: on SQLite in the connection's own thread, and complete even if the caller is cancelled."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.tables import expunged

_COUNT = text("SELECT count(*) FROM mailboxes")
_RENAME = text("UPDATE mailboxes SET name = name")


@pytest.fixture
async def sqlite_engine(sqlite_url: str) -> AsyncEngine:
    return open_engine(sqlite_url)


def threads_of(connection: Connection) -> set[str]:
    """The threads in which a transaction's work runs between its statements."""
    seen = set()
    for _ in range(3):
        connection.execute(_RENAME)
        seen.add(threading.current_thread().name)
    return seen


async def test_sqlite_transaction_runs_in_one_thread_beside_the_event_loops(sqlite_engine: AsyncEngine) -> None:
    database = Database(sqlite_engine)
    (name,) = await database.transact(threads_of)
    assert name != threading.current_thread().name
    await sqlite_engine.dispose()


async def test_cancelled_caller_waits_for_its_sqlite_transaction(sqlite_engine: AsyncEngine) -> None:
    database = Database(sqlite_engine)
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        connection.execute(_RENAME)
        begun.set()
        may_end.wait(10)
        connection.execute(_RENAME)
        ended.set()

    caller = asyncio.create_task(database.transact(work))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    await asyncio.sleep(0)  # the cancellation is delivered
    assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()
    assert await database.transact(lambda connection: connection.scalar(_COUNT)) == 0  # the write lock is free again
    await sqlite_engine.dispose()


async def test_failed_transaction_is_rolled_back(engine: AsyncEngine) -> None:
    database = Database(engine)
    row = {"account_id": 1, "mailbox_id": 1, "modseq": 1, "uid": 1}

    def fail(connection: Connection) -> None:
        connection.execute(insert(expunged), row)
        raise StoreUnavailable("half-way")

    with pytest.raises(StoreUnavailable):
        await database.transact(fail)
    assert not await database.fetch(select(expunged), {})
    await database.close()


def rename(connection: Connection) -> None:
    connection.execute(_RENAME)


@pytest.mark.parametrize("reads", [True, False])
async def test_cancellation_at_any_moment_returns_the_connection(sqlite_engine: AsyncEngine, reads: bool) -> None:
    pool: Any = sqlite_engine.pool
    for iterations in range(40):  # of the event loop before the cancellation: from before connecting to the end
        database = Database(sqlite_engine)
        work: Coroutine[Any, Any, object] = database.fetch(_COUNT, {}) if reads else database.transact(rename)
        task = asyncio.create_task(work)
        for _ in range(iterations):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.wait([task])
        await database.close()
        assert pool.checkedout() == 0
    await sqlite_engine.dispose()
