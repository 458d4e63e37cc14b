"""A TCP proxy that stops forwarding after a number of octets, so that a test can kill a client at that point."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
CHUNK_OCTETS = 4096


class StallingProxy:
    """A proxy in front of a local port. `port` is its own; `stalled` is set when it stops forwarding."""

    def __init__(self, port: int, octets: int) -> None:
        self._server_port = port
        self._left = octets
        self.port = 0
        self.stalled = asyncio.Event()

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward octets in both directions, until either side has closed."""
        from_server, to_server = await asyncio.open_connection(HOST, self._server_port)
        sending = asyncio.create_task(self._forward(reader, to_server))
        try:
            await self._forward_limited(from_server, writer)
        finally:
            sending.cancel()
            to_server.close()
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(CHUNK_OCTETS):
            writer.write(octets)
            await writer.drain()

    async def _forward_limited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(CHUNK_OCTETS):
            writer.write(octets[: self._left])
            await writer.drain()
            self._left -= len(octets)
            if self._left <= 0:
                self.stalled.set()
                await asyncio.Event().wait()  # until cancelled


@asynccontextmanager
async def stalling_proxy(port: int, octets: int) -> AsyncIterator[StallingProxy]:
    """Run a proxy in front of `port` that forwards `octets` octets of the server."""
    proxy = StallingProxy(port, octets)
    clients = set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(asyncio.create_task(proxy.serve_client(reader, writer)))

    server = await asyncio.start_server(accept, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
