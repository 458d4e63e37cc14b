"""A receiver of webhooks on this machine."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

SECONDS = 20.0


class Posted(NamedTuple):
    """A request that a receiver got."""

    fields: dict[str, str]
    body: bytes


class Receiver:
    """A server that answers with the given statuses, then with 204; None never answers."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = [*statuses]
        self.retry_after = ""
        self.posted: asyncio.Queue[Posted] = asyncio.Queue()
        self.url = ""
        """Where it listens."""

    async def next(self) -> Posted:
        """The next request."""
        async with asyncio.timeout(SECONDS):
            return await self.posted.get()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        fields = {name.lower(): value for name, _, value in lines}
        self.posted.put_nowait(Posted(fields, await reader.readexactly(int(fields["content-length"]))))
        status = self.statuses.pop(0) if self.statuses else 204
        if status is None:
            await reader.read()  # until the client gives up
        else:
            head = f"Content-Length: 0\r\nLocation: {self.url}\r\nRetry-After: {self.retry_after}\r\n"
            writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode())
        writer.close()


@asynccontextmanager
async def receiving(
    *statuses: int | None, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run a receiver at an address of this machine, by HTTPS if there is a context, which has a certificate for it."""
    receiver = Receiver(*statuses)
    server = await asyncio.start_server(receiver.answer, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'http' if tls is None else 'https'}://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        server.close()
