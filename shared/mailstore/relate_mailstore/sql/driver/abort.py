"""Hanging up on a database that does not answer, when there is no time left to wait for it.

Every statement under way fails at once, and no connection is made any more. SQLite answers or fails: nothing there to
hang up on.
"""

from typing import Any, NoReturn
from weakref import WeakSet

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.driver.dialects import POSTGRESQL


class HangUp:
    """The connections of an engine that has not connected yet; called, it ends them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.sync_engine
        self._connections = WeakSet[asyncpg.Connection]()
        if engine.dialect.name == POSTGRESQL:
            event.listen(self._engine, "connect", self._note)

    def __call__(self) -> None:
        """Hang up. Harmless when repeated."""
        event.listen(self._engine, "do_connect", _refuse)
        for connection in list(self._connections):
            connection.terminate()

    def _note(self, connection: Any, record: object) -> None:
        self._connections.add(connection.driver_connection)


def _refuse(*_: object) -> NoReturn:
    raise ConnectionAbortedError("hung up")
