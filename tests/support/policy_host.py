"""An HTTPS server on loopback that serves an MTA-STS policy (RFC 8461 §3.3), or misbehaves.

async with PolicyHost("mta-sts.example.test", policy) as host:
    PolicyFetcher(dns, context=host.trusting, port=host.port, private=PrivateDestinations.ALLOW)
"""

import asyncio
import ssl
from contextlib import suppress
from enum import Enum, auto
from typing import Self

import trustme

HOST = "127.0.0.1"
CHUNK_OCTETS = 16_384


class HostBehaviour(Enum):
    """What the server does with a request."""

    ANSWER = auto()
    SILENT = auto()
    """Never answers."""
    SILENT_IN_THE_BODY = auto()
    """Sends half of the answer, then nothing."""
    ENDLESS = auto()
    """Sends a body that never ends."""
    CLOSE = auto()
    """Closes the connection."""
    NONSENSE = auto()
    """Answers in another protocol."""


class PolicyHost:
    """The server; its certificate is for `name`, and `trusting` is a client context that trusts it.

    `status`, `headers` and `body` are the answer. `requests` has the head of each request.
    """

    def __init__(self, name: str, body: str | bytes = b"") -> None:
        self.name = name
        self.body = body.encode() if isinstance(body, str) else body
        self.status = "200 OK"
        self.headers = {"Content-Type": "text/plain"}
        self.behaviour = HostBehaviour.ANSWER
        self.requests: list[str] = []
        self.server_names: list[str | None] = []
        """The name in the SNI extension of each handshake."""
        self.port = 0
        authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(self._context)
        self._context.sni_callback = lambda _, server_name, __: self.server_names.append(server_name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head.decode())
                await self._answer(writer)
        finally:
            writer.transport.abort()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        fields = {"Connection": "close", **self.headers}
        if self.behaviour is not HostBehaviour.ENDLESS:
            fields["Content-Length"] = str(len(self.body))
        lines = (f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in fields.items()), "", "")
        head = "\r\n".join(lines).encode()
        match self.behaviour:
            case HostBehaviour.SILENT:
                await asyncio.Event().wait()  # until cancelled
            case HostBehaviour.CLOSE:
                return
            case HostBehaviour.NONSENSE:
                writer.write(b"220 mail.example.test ESMTP\r\n" * 10)
            case HostBehaviour.SILENT_IN_THE_BODY:
                writer.write(head + self.body[: len(self.body) // 2])
                await writer.drain()
                await asyncio.Event().wait()  # until cancelled
            case HostBehaviour.ENDLESS:
                writer.write(head)
                while True:
                    writer.write(b"x" * CHUNK_OCTETS)
                    await writer.drain()
            case HostBehaviour.ANSWER:
                writer.write(head + self.body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
