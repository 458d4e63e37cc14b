"""Aborts all connections to a PostgreSQL server that does not answer, when a shutdown has no time left.

Every running statement fails at once, and no connection is opened any more. SQLite needs none of this, because its
statements finish or fail by themselves.
"""

from typing import Any, NoReturn
from weakref import WeakSet

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.driver.dialects import POSTGRESQL


class ConnectionAborter:
    """Tracks the connections of an engine, from before the first one is opened. Calling it aborts them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.sync_engine
        self._connections = WeakSet[asyncpg.Connection]()
        if engine.dialect.name == POSTGRESQL:
            event.listen(self._engine, "connect", self._track)

    def __call__(self) -> None:
        """Abort all connections. Idempotent."""
        event.listen(self._engine, "do_connect", _refuse)
        for connection in list(self._connections):
            connection.terminate()

    def _track(self, connection: Any, record: object) -> None:
        self._connections.add(connection.driver_connection)


def _refuse(*_: object) -> NoReturn:
    raise ConnectionAbortedError("the connections to the database were aborted")
