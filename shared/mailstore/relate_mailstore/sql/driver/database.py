"""The two ways in which the store uses the database: a read of one statement, and a transaction.

A transaction's work is a plain function on SQLAlchemy's `Connection`: in a greenlet that waits for the driver, half of
what awaiting each statement costs, or in SQLite's own thread. A read runs in autocommit on a connection that is kept,
and is handed to the driver itself: BEGIN, ROLLBACK and the pool's bookkeeping cost three times what the read does, and
SQLAlchemy's execution as much again. Both find out by use whether a connection still stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Executable, Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver import sqlite
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.driver.errors import database_errors, is_connection_lost
from relate_mailstore.sql.driver.statements import Announced, Prepared, prepare

READERS = 4  # connections kept for reads: more than that many at once only queue in the database

CLOSE_SECONDS = 5  # for reads under way: a database that takes longer is not waited for

T = TypeVar("T")
Work = Callable[[Connection], T]
Parameters = Mapping[str, Any]
Read = Callable[[AsyncConnection, Any], Awaitable[T]]
"""A read by a connection, whose driver's own is the second argument."""


class Transact(Protocol):
    """`Committer.run_without_notice`, for modules that may not import `write`."""

    async def __call__(self, work: Work[T], *, durable: bool = True) -> T:
        """Run `work` in a transaction."""


class _ConnectionLost(StoreUnavailable):
    """Before the commit: nothing is stored, and it may be tried again."""


class _Kept:
    """So many connections of an engine, which are opened when they are needed and kept then."""

    def __init__(self, engine: AsyncEngine, connections: int) -> None:
        self.engine = engine
        self.connections = connections
        self.free = asyncio.Semaphore(connections)
        self.idle: list[AsyncConnection] = []

    async def close(self) -> None:
        """Wait for what is under way, then give the connections back."""
        ended = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while ended < self.connections:
                    await self.free.acquire()
                    ended += 1
        while self.idle:
            await self.idle.pop().close()
        for _ in range(ended):
            self.free.release()


class Database:
    """An engine, as the store uses it. The engine is the caller's: `close` gives back what was kept of it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.dialect = engine.dialect.name
        self._engine = engine
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._relaxed = engine.execution_options(**{sqlite.RELAXED: True})
        self._removing = engine.execution_options(**{sqlite.REMOVES: True})
        self._readers = _Kept(autocommit, READERS)
        # One, as those who change flags share their statements and transactions. It waits for no reader.
        self._writer = _Kept(self._relaxed if self.dialect == SQLITE else autocommit, 1)
        self._closed = False
        # SQLite has one writer at a time and lets the others poll; in one process they can queue.
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if self.dialect == SQLITE else nullcontext()

    async def fetch(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """The rows of one SELECT that is a constant of its module, as named tuples."""
        prepared = prepare(self._engine.dialect, statement)
        return await self._on(self._readers, partial(_fetch, "fetch", prepared, prepared.arguments(parameters)))

    async def glance(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """The same for a few rows of a table that is always at hand: SQLite is asked by the loop itself.

        Handing a read over to the connection's thread and back costs several times what such a read does.
        """
        prepared = prepare(self._engine.dialect, statement)
        ask = "glance" if self.dialect == SQLITE else "fetch"
        return await self._on(self._readers, partial(_fetch, ask, prepared, prepared.arguments(parameters)))

    async def fetch_composed(self, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
        """The rows of one SELECT that was composed for this call."""
        return await self._on(self._readers, partial(_fetch_composed, statement, parameters))

    async def change(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """The rows of one statement that changes something, and is a transaction by itself.

        When its connection is lost it is done again, and may have been done before: it must do no harm then.
        """
        prepared = prepare(self._engine.dialect, statement)
        return await self._on(self._writer, partial(_fetch, "fetch", prepared, prepared.arguments(parameters)))

    async def transact(self, work: Work[T], durable: bool = True, removes: bool = False) -> T:
        """Do `work` in a transaction that is committed when it returns, and durable then.

        One that need not be `durable` waits for no disk on SQLite; on PostgreSQL the work itself asks for that. One
        that `removes` may use the last of SQLite's disk.
        """
        engine = self._removing if removes else self._engine if durable else self._relaxed
        with database_errors:
            async with self._turn:
                try:
                    return await self._attempt(engine, work)
                except _ConnectionLost:
                    return await self._attempt(engine, work)

    async def close(self) -> None:
        """Wait for the reads under way, then give back the connections that were kept.

        A read that its loop's end cancels would never end on SQLite: its thread is gone before its connection closes.
        """
        self._closed = True
        await self._readers.close()
        await self._writer.close()

    async def _on(self, kept: _Kept, read: Read[T]) -> T:
        with database_errors:
            async with kept.free:
                if kept.idle:
                    try:
                        return await self._read(kept, kept.idle.pop(), read)
                    except _ConnectionLost:
                        pass
                return await self._read(kept, await _open(kept.engine), read)

    async def _read(self, kept: _Kept, connection: AsyncConnection, read: Read[T]) -> T:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            rows = await read(connection, driver)
        except BaseException as error:  # when cancelled, too: who knows what the connection is at
            await connection.invalidate()
            await connection.close()
            if is_connection_lost(error):
                raise _ConnectionLost("the connection to the database was lost") from None
            raise
        await self._give_back(kept, connection)
        return rows

    async def _give_back(self, kept: _Kept, connection: AsyncConnection) -> None:
        if self._closed:
            await connection.close()
        else:
            kept.idle.append(connection)

    async def _attempt(self, engine: AsyncEngine, work: Work[T]) -> T:
        if self.dialect == SQLITE and engine is self._relaxed:
            return await self._write(work)
        connection = await _open(engine)
        try:
            if self.dialect == SQLITE:
                return await sqlite.run_in_thread(connection, partial(_commit, work=work))
            return await connection.run_sync(_commit, work)
        finally:
            await connection.close()

    async def _write(self, work: Work[T]) -> T:
        """A small transaction of SQLite's, by the connection that is kept: one that failed or was cancelled is not."""
        kept = self._writer
        async with kept.free:
            connection = kept.idle.pop() if kept.idle else await _open(kept.engine)
            try:
                result = await sqlite.run_in_thread(connection, partial(_commit, work=work))
            except BaseException:
                await connection.close()
                raise
            await self._give_back(kept, connection)
        return result


async def _open(engine: AsyncEngine) -> AsyncConnection:
    """A connection; opened to its end, also when who opens it is cancelled: nobody else would give it back."""
    opening = asyncio.ensure_future(_connect(engine))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait([opening])
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().close()
        raise


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def _fetch(
    ask: str, prepared: Prepared, arguments: Sequence[Any], connection: AsyncConnection, driver: Any
) -> Sequence[Any]:
    with Announced(cast("Connection", connection.sync_connection), prepared.text, arguments):
        return prepared.rows(await getattr(driver, ask)(prepared.text, *arguments))


async def _fetch_composed(
    statement: Executable, parameters: Parameters, connection: AsyncConnection, driver: Any
) -> Sequence[Row[Any]]:
    return (await connection.execute(statement, parameters)).all()


def _commit(connection: Connection, work: Work[T]) -> T:
    try:
        transaction = connection.begin()
        result = work(connection)
    except Exception as error:
        if is_connection_lost(error):
            connection.invalidate()
            raise _ConnectionLost("the connection to the database was lost") from None
        raise
    # Lost from here on, the transaction may be durable or not: that is not tried again.
    transaction.commit()
    return result
