"""Changes of what is due in the queue, for the runners of every process.

On PostgreSQL a change is announced by NOTIFY in its transaction, on a channel of its own, which only processes that
have subscribers listen to. On SQLite a commit of this process wakes the subscribers at once, and commits of others show
in the version of the file, which is compared every POLL_SECONDS while a subscriber waits.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Connection, func, select

from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.notices.sqlite import FileVersion
from relate_mailstore.wakes import Wake, Wakes

CHANNEL = "relate_queue"
POLL_SECONDS = (
    0.25  # how late a commit of another process is noticed on SQLite: operators' commands, and a second relay
)

NOTIFY = func.pg_notify(CHANNEL, "")
"""A column that announces a change if the transaction commits (PostgreSQL)."""

_ANNOUNCE = select(NOTIFY)


class QueueChanges(Protocol):
    """Wakes the subscribers of this process after changes, of every process, in what is due."""

    def on_commit(self, committed: Committed[Any]) -> None:
        """After a commit of this process."""

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over the changes from now on; see `QueueStore.changes`."""

    def close(self) -> None:
        """Close what it has opened."""


def announce(connection: Connection) -> None:
    """Within a transaction: announce a change, if it commits. On SQLite the observers do."""
    if connection.dialect.name == POSTGRESQL:
        run(connection, _ANNOUNCE, {})


class PostgresQueueChanges:
    """`QueueChanges` by LISTEN on the session connection, from the first subscription on."""

    def __init__(self, side: SessionConnection) -> None:
        self._side = side
        self._wakes = Wakes()
        self._listening = False

    def on_commit(self, committed: Committed[Any]) -> None:
        """Nothing: PostgreSQL sends the notification to this process too."""

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[None]]:
        """Listen, and iterate over the notifications."""
        if not self._listening:
            self._listening = True
            await self._side.set_up(self._listen)
        with self._wakes.subscribe() as wake:
            yield wake.changes()

    def close(self) -> None:
        """Nothing: the session connection has its own end."""

    async def _listen(self, connection: asyncpg.Connection) -> None:
        with self._side.events(f'LISTEN "{CHANNEL}"'):
            await connection.add_listener(CHANNEL, self._on_notify)
        self._wakes.wake()  # notifications were missed while there was no connection

    def _on_notify(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self._wakes.wake()


class FileQueueChanges:
    """`QueueChanges` by the commits of this process, and by the version of the database file."""

    def __init__(self, path: Path) -> None:
        self._version = FileVersion(path)
        self._wakes = Wakes()

    def on_commit(self, committed: Committed[Any]) -> None:
        """Wake the subscribers if the queue has changed."""
        if committed.queue_changed:
            self._wakes.wake()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[None]]:
        """Iterate over the changes."""
        with self._wakes.subscribe() as wake:
            yield self._changes(wake)

    def close(self) -> None:
        """Close the file."""
        self._version.close()

    async def _changes(self, wake: Wake) -> AsyncIterator[None]:
        seen = self._version.get()
        while True:
            woken = await wake.wait_for(POLL_SECONDS)
            before, seen = seen, self._version.get()
            if woken or before != seen:
                yield
