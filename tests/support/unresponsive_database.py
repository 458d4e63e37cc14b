"""A database that falls silent: it still accepts connections, and answers nothing."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, make_url

HOST = "127.0.0.1"
CHUNK = 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Between a client and a PostgreSQL server, until it falls silent."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.asked = asyncio.Event()
        """Somebody has connected."""

    def fall_silent(self) -> None:
        """Pass nothing on from now on; connections stay open, and new ones are accepted."""
        self._speaks.clear()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection."""
        self.asked.set()
        self._begin(self._relay(reader, writer))

    async def close(self) -> None:
        """Relay no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sinks = [writer]
        try:
            await self._speaks.wait()
            ours, theirs = await self._connect()
            sinks.append(theirs)
            await asyncio.gather(self._pass_on(reader, theirs), self._pass_on(ours, writer))
        finally:
            for sink in sinks:
                sink.transport.abort()

    async def _connect(self) -> Streams:
        directory = self._target.query.get("host")
        if isinstance(directory, str):
            return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{self._target.query['port']}")
        return await asyncio.open_connection(self._target.host, self._target.port or 5432)

    def _begin(self, passing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(passing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while octets := await source.read(CHUNK):
            await self._speaks.wait()
            sink.write(octets)
        sink.close()


@asynccontextmanager
async def database_relay(url: str) -> AsyncIterator[Relay]:
    """A relay to the database at a URL, and `relay.url` to reach it by."""
    target = make_url(url)
    relay = Relay(target)
    server = await asyncio.start_server(relay.accept, HOST, 0)
    port: int = server.sockets[0].getsockname()[1]
    reached = URL.create("postgresql", target.username, target.password, HOST, port, target.database)
    relay.url = reached.render_as_string(hide_password=False)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
