"""A dedicated PostgreSQL session for session-level state: LISTEN and advisory locks.

A lost connection is replaced, and its users set the new one up (`on_connect`). It is used through asyncpg, because
SQLAlchemy has no API for notifications, nor for a connection outside of its pool.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.driver.statements import ExecutionEvents
from relate_supervisor import Supervisor

MIN_RETRY_SECONDS = 0.1  # a restarted server is back soon
MAX_RETRY_SECONDS = 5.0  # the back-off's limit
HEARTBEAT_SECONDS = 30.0  # with the command timeout it detects a peer that vanished without closing

_NOOP = "SELECT"  # the cheapest statement: without columns, and sent by the simple query protocol

_log = structlog.get_logger(__name__)

SetUp = Callable[[asyncpg.Connection], Awaitable[None]]


class SessionConnection:
    """The session's connection, from `start` to `close`."""

    def __init__(self, engine: AsyncEngine, supervisor: Supervisor) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._on_connect: list[SetUp] = []
        self._pooled: AsyncConnection | None = None
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._statement_lock = asyncio.Lock()  # asyncpg refuses a second statement while one runs
        self._reconnecting: asyncio.Task[None] | None = None

    def on_connect(self, set_up: SetUp) -> None:
        """Have `set_up` called with each new connection, before any other use of it."""
        self._on_connect.append(set_up)

    async def set_up(self, set_up: SetUp) -> None:
        """Have `set_up` called with the present connection, if there is one, and with each new one."""
        async with self._statement_lock:
            self._on_connect.append(set_up)
            if self._connection is None:
                return
            try:
                with database_errors:
                    await set_up(self._connection)
            except BaseException:
                self._lost.set()  # the next connection is set up with it
                raise

    @property
    def up(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._connection is not None and not self._lost.is_set()

    async def start(self) -> None:
        """Connect, and reconnect from then on. Raises StoreUnavailable if the first attempt fails."""
        await self._connect()
        self._reconnecting = self._supervisor.keep("mailstore.side_connection", self._keep_connected)

    def events(self, statement: str, values: Sequence[object] = ()) -> AbstractContextManager[None]:
        """A `with` block around a statement that asyncpg executes: calls SQLAlchemy's event listeners, which trace."""
        connection: Any = self._pooled and self._pooled.sync_connection
        return ExecutionEvents(connection, statement, values)

    async def fetch(self, statement: str, *values: object) -> Sequence[Any]:
        """The rows of a statement. Raises StoreUnavailable."""
        async with self._statement_lock:
            if self._connection is None:
                raise StoreUnavailable("the session connection to the database is down")
            with database_errors, self.events(statement, values):
                rows: Sequence[Any] = await self._connection.fetch(statement, *values)
                return rows

    async def round_trip(self) -> None:
        """Wait for a reply of the server. Pending notifications arrive before it. Raises StoreUnavailable."""
        async with self._statement_lock:
            if self._connection is None:
                raise StoreUnavailable("the session connection to the database is down")
            with database_errors, self.events(_NOOP):
                await self._connection.execute(_NOOP)

    async def close(self) -> None:
        """Disconnect, which ends locks and subscriptions."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
        await self._discard()

    async def _keep_connected(self) -> None:
        while True:
            await self._watch()
            _log.warning("side_connection.lost")
            await self._discard()
            await self._reconnect()
            _log.info("side_connection.restored")

    async def _watch(self) -> None:
        """Wait until the connection is lost."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._lost.wait()
            except TimeoutError:
                await self._check()

    async def _check(self) -> None:
        try:
            with self._supervisor.tracing.poll():
                await self.fetch("SELECT 1")
        except StoreUnavailable:
            self._lost.set()

    async def _reconnect(self) -> None:
        delay = MIN_RETRY_SECONDS
        while True:
            try:
                return await self._connect()
            except StoreUnavailable as error:
                _log.warning("side_connection.retry", error=str(error), seconds=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_RETRY_SECONDS)

    async def _connect(self) -> None:
        async with self._statement_lock:
            try:
                with self._supervisor.tracing.work("mailstore.side_connection.connect"), database_errors:
                    await self._open()
            except BaseException:
                await self._discard()
                raise

    async def _open(self) -> None:
        self._pooled = await self._engine.connect()
        connection: Any = (await self._pooled.get_raw_connection()).driver_connection
        connection.add_termination_listener(self._on_terminated)
        for set_up in self._on_connect:
            await set_up(connection)
        self._lost.clear()
        self._connection = connection

    def _on_terminated(self, connection: asyncpg.Connection) -> None:
        if connection is self._connection:
            self._lost.set()

    async def _discard(self) -> None:
        """Close the connection instead of returning it to the pool, where its listeners and locks would remain."""
        pooled, self._pooled, self._connection = self._pooled, None, None
        if pooled is not None:
            await pooled.invalidate()
            await pooled.close()
