"""SQLite for asyncio: aiosqlite's thread, visited once a statement.

A connection of aiosqlite is a thread, and each of `cursor`, `execute`, `fetchall` and `close` is a visit there: two
thirds of what a small SELECT costs. Our cursor does all of them in one, and `run_in_thread` does a whole transaction
in one. Transactions are begun by us, not the driver.
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
from relate_mailstore.sql.driver.statements import say

BUSY_SECONDS = 10.0  # SQLite's way of waiting for another process that writes
ROWS_PER_VISIT = 64  # of aiosqlite's own cursors, which nothing here uses

# 250 means durable: FULL flushes the log at each commit. NORMAL, usual with a write-ahead log, does not.
# The log stays as long as it ever had to be, unless it is told how long it may stay.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={16 * 1024 * 1024}")

RELAXED = "relaxed"  # an execution option: the transaction may be lost with the power
REMOVES = "removes"  # an execution option: the transaction may use what is kept for a full disk

T = TypeVar("T")


class _Cursor:
    """What SQLAlchemy asks of a cursor of aiosqlite: it calls, in turn, what only `execute` has to wait for."""

    description: Any = None
    lastrowid: int | None = None
    rowcount = -1

    def __init__(self, visit: Callable[..., Awaitable[Any]], connection: sqlite3.Connection) -> None:
        self._visit = visit
        self._connection = connection
        self._rows: Sequence[Any] = ()

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        await self._visit(self._run, sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        await self._visit(self._run, sqlite3.Cursor.executemany, statement, parameters)

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
    """A connection of aiosqlite with our cursors, which does at once what its own thread asks of it."""

    async def cursor(self) -> _Cursor:  # type: ignore[override] # no context manager: SQLAlchemy needs none
        return _Cursor(self._execute, self._conn)

    async def rollback(self) -> None:
        if self._conn.in_transaction:  # the pool asks for one whenever it gets a connection back
            await super().rollback()

    async def fetch(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of a SELECT, as asyncpg's connections give them."""
        return await self.visit(lambda: self._conn.execute(statement, parameters).fetchall())

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:  # type: ignore[override]
        """A statement for each of these parameters, as asyncpg's connections do it."""
        await self.visit(lambda: self._conn.executemany(statement, parameters).close())

    def is_in_transaction(self) -> bool:
        """As asyncpg's connections tell it."""
        return self._conn.in_transaction

    async def glance(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """The rows of a SELECT that is done at once, by whoever asks: its thread must have nothing to do."""
        return self._conn.execute(statement, parameters).fetchall()

    async def visit(self, work: Callable[[], T]) -> T:
        """Have the thread do `work`, in the caller's context. It is finished before this is left, also by a cancel."""
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
    """`connection.run_sync(work)` by the thread of the connection, to which every statement would be a visit."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    result: T = await driver.visit(lambda: _run_at_once(connection.run_sync(work)))
    return result


def _run_at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that finds everything done where it would wait."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    coroutine.close()
    raise RuntimeError("a transaction waited for something other than its connection")


def _open(path: Path) -> sqlite3.Connection:
    create_private(path)  # its log and its shared memory get the same mode
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a database file, made if missing; for `create_async_engine(async_creator=…)`."""
    connection = _Connection(partial(_open, path), ROWS_PER_VISIT)
    connection._thread.daemon = True  # one that is not closed must not keep the process alive
    return await connection


def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Set up a new connection."""
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def on_begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and then finds it taken can only fail."""
    options: Any = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        _set_synchronous(connection, "NORMAL" if options.get(RELAXED) else "FULL")
        say(connection, "BEGIN IMMEDIATE")


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level
