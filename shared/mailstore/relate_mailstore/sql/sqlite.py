"""SQLite for asyncio: aiosqlite's thread, visited once a statement.

A connection of aiosqlite is a thread, and each of `cursor`, `execute`, `fetchall` and `close` is a visit there: two
thirds of what a small SELECT costs. Our cursor does all of them in one. Transactions are begun by us, not the driver.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 10.0  # SQLite's way of waiting for another process that writes
ROWS_PER_VISIT = 64  # of aiosqlite's own cursors, which nothing here uses

# 250 means durable: FULL flushes the log at each commit. NORMAL, usual with a write-ahead log, does not.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


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
    """A connection of aiosqlite with our cursors."""

    async def cursor(self) -> _Cursor:  # type: ignore[override] # no context manager: SQLAlchemy needs none
        return _Cursor(self._execute, self._conn)


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a database file; for `create_async_engine(async_creator=…)`."""
    open_file = partial(sqlite3.connect, path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection = _Connection(open_file, ROWS_PER_VISIT)
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
        connection.exec_driver_sql("BEGIN IMMEDIATE")
