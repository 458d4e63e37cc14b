"""SQLite for asyncio: aiosqlite with one round trip to its thread per statement, or per transaction.

A connection of aiosqlite is a thread, and each of `cursor`, `execute`, `fetchall` and `close` is a round trip to it:
two thirds of the cost of a small SELECT. Our cursor does all of them in one, and `run_in_thread` a whole transaction.
We begin transactions, not the driver.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextvars import copy_context
from functools import partial
from pathlib import Path
from threading import current_thread
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import ConnectionPoolEntry

from relate_config.private import create_private
from relate_mailstore.sql.driver.statements import run_text

BUSY_SECONDS = 10.0  # SQLite's busy timeout, while another process writes
ITER_CHUNK_ROWS = 64  # required by aiosqlite for its own cursors, which are not used here

# SMTP's 250 means durable: FULL flushes the log at each commit. NORMAL, usual with a write-ahead log, does not.
# Without a size limit the log's file never shrinks.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={16 * 1024 * 1024}")

RELAXED = "relaxed"  # an execution option: the commit is not flushed, and may be lost in a power failure
REMOVES = "removes"  # an execution option: the transaction may use the disk reserve

T = TypeVar("T")


class _Cursor:
    """The part of aiosqlite's cursor that SQLAlchemy uses. Only `execute` and `executemany` wait for the thread."""

    description: Any = None
    lastrowid: int | None = None
    rowcount = -1

    def __init__(self, run_in_thread: Callable[..., Awaitable[Any]], connection: sqlite3.Connection) -> None:
        self._run_in_thread = run_in_thread
        self._connection = connection
        self._rows: Sequence[Any] = ()

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        await self._run_in_thread(self._run, sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        await self._run_in_thread(self._run, sqlite3.Cursor.executemany, statement, parameters)

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        self._rows = ()

    def _run(self, execute: Callable[..., sqlite3.Cursor], statement: str, parameters: Any) -> None:
        cursor = self._connection.cursor()
        execute(cursor, statement, parameters)
        self._rows = cursor.fetchall()
        self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
        cursor.close()


class _Connection(aiosqlite.Connection):
    """A connection of aiosqlite with our cursors. Calls from its own thread are executed at once."""

    async def cursor(self) -> _Cursor:  # type: ignore[override] # no context manager: SQLAlchemy needs none
        return _Cursor(self._execute, self._conn)

    async def rollback(self) -> None:
        if self._conn.in_transaction:  # the pool rolls back each connection that is returned
            await super().rollback()

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of a SELECT: asyncpg's API."""
        return await self.run(lambda: self._conn.execute(statement, parameters).fetchall())

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:  # type: ignore[override]
        """Execute a statement for each of the parameters: asyncpg's API."""
        await self.run(lambda: self._conn.executemany(statement, parameters).close())

    def is_in_transaction(self) -> bool:
        """Whether a transaction has begun: asyncpg's API."""
        return self._conn.in_transaction

    async def fetch_inline(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of a SELECT that runs in the caller's thread. The connection's own thread must be idle."""
        return self._conn.execute(statement, parameters).fetchall()

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the connection's thread and the caller's context. A cancellation waits for its end."""
        if current_thread() is self._thread:
            return work()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((done, partial(copy_context().run, work)))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    async def _execute(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:  # type: ignore[override]
        if current_thread() is self._thread:
            return function(*args, **options)
        return await super()._execute(function, *args, **options)  # type: ignore[no-untyped-call]


async def run_in_thread(connection: AsyncConnection, work: Callable[[Connection], T]) -> T:
    """`connection.run_sync(work)` in the connection's thread, so that its statements need no round trip."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    result: T = await driver.run(lambda: _run_synchronously(connection.run_sync(work)))
    return result


def _run_synchronously(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError("a transaction awaited something other than its connection")


def _open(path: Path) -> sqlite3.Connection:
    create_private(path)  # SQLite gives the log and the shared memory the same mode
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a database file, created if missing; for `create_async_engine(async_creator=…)`."""
    connection = _Connection(partial(_open, path), ITER_CHUNK_ROWS)
    connection._thread.daemon = True  # an unclosed connection must not keep the process alive
    return await connection


def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Set the pragmas of a new connection."""
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def on_begin(connection: Connection) -> None:
    """Begin with the write lock: a transaction that reads first fails if another one writes in the meantime."""
    options: Any = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        _set_synchronous(connection, "NORMAL" if options.get(RELAXED) else "FULL")
        run_text(connection, "BEGIN IMMEDIATE")


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level
