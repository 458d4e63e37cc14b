"""One PostgreSQL connection beside the others, for what belongs to a connection: LISTEN and advisory locks.

It is kept up: when it is lost, another is made, and whoever relies on it sets it up again (`on_connect`). It is used
through asyncpg itself, as SQLAlchemy knows neither notices nor a connection that is one's own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.sql.driver.errors import database_errors
from relate_supervisor import Supervisor

FIRST_RETRY_SECONDS = 0.1  # a server that restarts is back in a moment
LAST_RETRY_SECONDS = 5.0  # one that does not is asked gently
HEARTBEAT_SECONDS = 30.0  # a peer that vanished without a word is found out by this and the command timeout

_NOTHING = "SELECT"  # the cheapest statement: no columns, and neither parsed nor described beforehand

_log = structlog.get_logger(__name__)

SetUp = Callable[[asyncpg.Connection], Awaitable[None]]


class SideConnection:
    """The connection, from `start` to `close`."""

    def __init__(self, engine: AsyncEngine, supervisor: Supervisor) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._set_up: list[SetUp] = []
        self._held: AsyncConnection | None = None
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._asking = asyncio.Lock()  # asyncpg refuses a second statement while one is under way
        self._keeper: asyncio.Task[None] | None = None

    def on_connect(self, set_up: SetUp) -> None:
        """Have this done with each new connection, before anything else is."""
        self._set_up.append(set_up)

    @property
    def up(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._connection is not None and not self._lost.is_set()

    async def start(self) -> None:
        """Connect, and stay connected. Raises StoreUnavailable if that cannot be done now."""
        await self._connect()
        self._keeper = self._supervisor.keep("mailstore.side_connection", self._keep)

    async def fetch(self, statement: str, *values: object) -> Sequence[Any]:
        """The rows that a statement yields. Raises StoreUnavailable."""
        async with self._asking:
            if self._connection is None:
                raise StoreUnavailable("the side connection to the database is down")
            with database_errors:
                rows: Sequence[Any] = await self._connection.fetch(statement, *values)
                return rows

    async def round_trip(self) -> None:
        """Have the server answer: what it had to tell before it was asked, it tells first. Raises StoreUnavailable."""
        async with self._asking:
            if self._connection is None:
                raise StoreUnavailable("the side connection to the database is down")
            with database_errors:
                await self._connection.execute(_NOTHING)

    async def close(self) -> None:
        """Disconnect; locks and subscriptions end with the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._let_go()

    async def _keep(self) -> None:
        while True:
            await self._watch()
            _log.warning("side_connection.lost")
            await self._let_go()
            await self._reconnect()
            _log.info("side_connection.restored")

    async def _watch(self) -> None:
        """Returns when the connection is gone."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._lost.wait()
            except TimeoutError:
                await self._check()

    async def _check(self) -> None:
        try:
            await self.fetch("SELECT 1")
        except StoreUnavailable:
            self._lost.set()

    async def _reconnect(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                return await self._connect()
            except StoreUnavailable as error:
                _log.warning("side_connection.retry", error=str(error), seconds=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)

    async def _connect(self) -> None:
        async with self._asking:
            try:
                with database_errors:
                    await self._open()
            except BaseException:
                await self._let_go()
                raise

    async def _open(self) -> None:
        self._held = await self._engine.connect()
        connection: Any = (await self._held.get_raw_connection()).driver_connection
        connection.add_termination_listener(self._on_terminated)
        for set_up in self._set_up:
            await set_up(connection)
        self._lost.clear()
        self._connection = connection

    def _on_terminated(self, connection: asyncpg.Connection) -> None:
        if connection is self._connection:
            self._lost.set()

    async def _let_go(self) -> None:
        """Not back into the pool, where its listeners and locks would live on."""
        held, self._held, self._connection = self._held, None, None
        if held is not None:
            await held.invalidate()
            await held.close()
