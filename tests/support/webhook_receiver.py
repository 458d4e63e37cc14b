"""A receiver of webhooks, by HTTP on this machine."""

import asyncio
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
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

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
async def receiving(*statuses: int | None) -> AsyncIterator[Receiver]:
    """Run a receiver on this machine."""
    receiver = Receiver(*statuses)
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
