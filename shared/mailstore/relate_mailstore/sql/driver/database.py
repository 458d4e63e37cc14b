"""The store's access to the database: reads of one statement in autocommit, and transactions.

A transaction's work is a synchronous function on SQLAlchemy's `Connection`. It runs in a greenlet that waits for the
driver, at half the cost of awaiting each statement, or in SQLite's own thread. A read runs in autocommit on a dedicated
connection and directly by the driver, because BEGIN, ROLLBACK and the pool's bookkeeping cost three times as much as
the read, and SQLAlchemy's execution as much again. Neither pings a connection first: a lost one is found by its use.
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
from relate_mailstore.sql.driver.statements import CompiledStatement, ExecutionEvents, compile_statement

READER_CONNECTIONS = 4  # more reads at the same time would only queue in the database

CLOSE_SECONDS = 5  # for running reads

T = TypeVar("T")
Work = Callable[[Connection], T]
Parameters = Mapping[str, Any]
Read = Callable[[AsyncConnection, Any], Awaitable[T]]
"""A read on a connection; the second argument is the driver's connection."""


class Transact(Protocol):
    """`Committer.run_without_notice`, for modules that may not import `write`."""

    async def __call__(self, work: Work[T], *, durable: bool = True) -> T:
        """Run `work` in a transaction."""


class _ConnectionLost(StoreUnavailable):
    """The connection was lost before the commit: nothing is stored, and a retry is safe."""


class _Dedicated:
    """Connections that are taken from the engine's pool when first needed, and returned at `close`."""

    def __init__(self, engine: AsyncEngine, connections: int) -> None:
        self.engine = engine
        self.connections = connections
        self.free = asyncio.Semaphore(connections)
        self.idle: list[AsyncConnection] = []

    async def close(self) -> None:
        """Wait for running reads, at most CLOSE_SECONDS, then return the connections."""
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
    """Executes the store's statements on an engine. The caller owns the engine: `close` returns its connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.dialect = engine.dialect.name
        self._engine = engine
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._relaxed = engine.execution_options(**{sqlite.RELAXED: True})
        self._removing = engine.execution_options(**{sqlite.REMOVES: True})
        self._readers = _Dedicated(autocommit, READER_CONNECTIONS)
        # One is enough, because changes of flags are batched. It is apart, so that it does not wait for readers.
        self._writer = _Dedicated(self._relaxed if self.dialect == SQLITE else autocommit, 1)
        self._closed = False
        # SQLite has one writer, for whose lock other processes poll; within a process the writers queue here.
        self._write_lock: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if self.dialect == SQLITE else nullcontext()
        )

    async def fetch(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """The rows of one SELECT as named tuples; the statement is a module constant."""
        compiled = compile_statement(self._engine.dialect, statement)
        return await self._on(self._readers, partial(_fetch, "fetch", compiled, compiled.arguments(parameters)))

    async def fetch_inline(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """`fetch` for a few rows of a small table: SQLite executes it in the event loop's thread.

        Passing such a read to the connection's thread and back would cost several times as much as the read.
        """
        compiled = compile_statement(self._engine.dialect, statement)
        method = "fetch_inline" if self.dialect == SQLITE else "fetch"
        return await self._on(self._readers, partial(_fetch, method, compiled, compiled.arguments(parameters)))

    async def fetch_composed(self, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
        """The rows of one SELECT that was composed for this call."""
        return await self._on(self._readers, partial(_fetch_composed, statement, parameters))

    async def execute(self, statement: Executable, parameters: Parameters) -> Sequence[Any]:
        """The rows of one statement that writes, and is a transaction by itself.

        It is retried once if the connection is lost, possibly after it took effect: the statement must be idempotent.
        """
        compiled = compile_statement(self._engine.dialect, statement)
        return await self._on(self._writer, partial(_fetch, "fetch", compiled, compiled.arguments(parameters)))

    async def transact(self, work: Work[T], durable: bool = True, removes: bool = False) -> T:
        """Run `work` in a transaction, which is committed and durable at the return. Its result.

        Without `durable` SQLite does not flush the commit to disk; on PostgreSQL `work` itself sets that. With
        `removes` it may use SQLite's disk reserve. It is retried once if the connection is lost before the commit.
        """
        engine = self._removing if removes else self._engine if durable else self._relaxed
        with database_errors:
            async with self._write_lock:
                try:
                    return await self._attempt(engine, work)
                except _ConnectionLost:
                    return await self._attempt(engine, work)

    async def close(self) -> None:
        """Wait for the running reads, then return the dedicated connections to the pool.

        On SQLite a read that the end of the loop cancels would never end: its thread ends before its connection.
        """
        self._closed = True
        await self._readers.close()
        await self._writer.close()

    async def _on(self, dedicated: _Dedicated, read: Read[T]) -> T:
        with database_errors:
            async with dedicated.free:
                if dedicated.idle:
                    try:
                        return await self._read(dedicated, dedicated.idle.pop(), read)
                    except _ConnectionLost:
                        pass
                return await self._read(dedicated, await _open(dedicated.engine), read)

    async def _read(self, dedicated: _Dedicated, connection: AsyncConnection, read: Read[T]) -> T:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            rows = await read(connection, driver)
        except BaseException as error:  # also when cancelled: the connection's state is unknown
            await connection.invalidate()
            await connection.close()
            if is_connection_lost(error):
                raise _ConnectionLost("the connection to the database was lost") from None
            raise
        await self._give_back(dedicated, connection)
        return rows

    async def _give_back(self, dedicated: _Dedicated, connection: AsyncConnection) -> None:
        if self._closed:
            await connection.close()
        else:
            dedicated.idle.append(connection)

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
        """A transaction of SQLite on the dedicated connection, which is replaced after a failure or a cancellation."""
        writer = self._writer
        async with writer.free:
            connection = writer.idle.pop() if writer.idle else await _open(writer.engine)
            try:
                result = await sqlite.run_in_thread(connection, partial(_commit, work=work))
            except BaseException:
                await connection.close()
                raise
            await self._give_back(writer, connection)
        return result


async def _open(engine: AsyncEngine) -> AsyncConnection:
    """A connection of the engine. When cancelled, the connection is still opened, and returned to the pool."""
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
    method: str, compiled: CompiledStatement, arguments: Sequence[Any], connection: AsyncConnection, driver: Any
) -> Sequence[Any]:
    with ExecutionEvents(cast("Connection", connection.sync_connection), compiled.text, arguments):
        return compiled.rows(await getattr(driver, method)(compiled.text, *arguments))


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
    # If the connection is lost from here on, the transaction may be durable: it is not retried.
    transaction.commit()
    return result
