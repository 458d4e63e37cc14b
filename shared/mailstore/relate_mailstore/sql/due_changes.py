"""Changes of what is due in a table, for the tasks of every process that work it off: the queue, and webhooks.

On PostgreSQL a change is announced by NOTIFY in its transaction, on a channel of its own, which only processes that
have subscribers listen to. On SQLite a commit of this process wakes the subscribers at once, and commits of others show
in the version of the file, which is compared every POLL_SECONDS while a subscriber waits.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import asyncpg
from sqlalchemy import Connection, bindparam, func, select

from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.file_version import FileVersion
from relate_mailstore.sql.driver.session_connection import SessionConnection
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.wakes import Wake, Wakes

QUEUE_CHANNEL = "relate_queue"
WEBHOOK_CHANNEL = "relate_webhooks"
POLL_SECONDS = 0.25  # how late a commit of another process is noticed on SQLite

NOTIFY_QUEUE = func.pg_notify(QUEUE_CHANNEL, "")
"""A column that announces a change of the queue if the transaction commits (PostgreSQL)."""

_ANNOUNCE = select(func.pg_notify(bindparam("channel"), ""))


class DueChanges(Protocol):
    """Wakes the subscribers of this process after changes, of every process, in what is due."""

    def wake(self) -> None:
        """After a commit of this process that has such a change."""

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over the changes from now on; they coalesce, and the last one is never lost."""

    def close(self) -> None:
        """Close what it has opened."""


def announce(connection: Connection, channel: str) -> None:
    """Within a transaction: announce a change, if it commits. On SQLite `DueChanges.wake` does."""
    if connection.dialect.name == POSTGRESQL:
        run(connection, _ANNOUNCE, {"channel": channel})


def open_changes(database: SessionConnection | Path, channel: str) -> DueChanges:
    """The changes of a channel, by the session connection to PostgreSQL or the path of an SQLite file."""
    return _FileChanges(database) if isinstance(database, Path) else _PostgresChanges(database, channel)


class _PostgresChanges:
    """`DueChanges` by LISTEN on the session connection, from the first subscription on."""

    def __init__(self, side: SessionConnection, channel: str) -> None:
        self._side = side
        self._channel = channel
        self._wakes = Wakes()
        self._listening = False

    def wake(self) -> None:
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
        with self._side.events(f'LISTEN "{self._channel}"'):
            await connection.add_listener(self._channel, self._on_notify)
        self._wakes.wake()  # notifications were missed while there was no connection

    def _on_notify(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self._wakes.wake()


class _FileChanges:
    """`DueChanges` by the commits of this process, and by the version of the database file."""

    def __init__(self, path: Path) -> None:
        self._version = FileVersion(path)
        self._wakes = Wakes()

    def wake(self) -> None:
        """Wake the subscribers."""
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
