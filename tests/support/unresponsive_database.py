"""A database that stops responding: it accepts connections, and sends nothing."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, make_url

HOST = "127.0.0.1"
CHUNK_OCTETS = 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class DatabaseRelay:
    """A TCP proxy in front of a PostgreSQL server, until it stops responding."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.connected = asyncio.Event()
        """Set after the first connection."""

    def stop_responding(self) -> None:
        """Forward nothing from now on; connections stay open, and new ones are accepted."""
        self._forwarding.clear()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection."""
        self.connected.set()
        self._start(self._relay(reader, writer))

    async def close(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sinks = [writer]
        try:
            await self._forwarding.wait()
            from_server, to_server = await self._connect()
            sinks.append(to_server)
            await asyncio.gather(self._forward(reader, to_server), self._forward(from_server, writer))
        finally:
            for sink in sinks:
                sink.transport.abort()

    async def _connect(self) -> Streams:
        directory = self._target.query.get("host")
        if isinstance(directory, str):
            return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{self._target.query['port']}")
        return await asyncio.open_connection(self._target.host, self._target.port or 5432)

    def _start(self, relaying: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(relaying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while octets := await source.read(CHUNK_OCTETS):
            await self._forwarding.wait()
            sink.write(octets)
        sink.close()


@asynccontextmanager
async def database_relay(url: str) -> AsyncIterator[DatabaseRelay]:
    """Run a relay to the database at a URL; `relay.url` is the relay's."""
    target = make_url(url)
    relay = DatabaseRelay(target)
    server = await asyncio.start_server(relay.accept, HOST, 0)
    port: int = server.sockets[0].getsockname()[1]
    relay_url = URL.create("postgresql", target.username, target.password, HOST, port, target.database)
    relay.url = relay_url.render_as_string(hide_password=False)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
