"""SMTP and POP3 clients that send given commands or octets, valid or not, and return the raw replies."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import cast

from tests.support.product import HOST

TIMEOUT_SECONDS = 30.0  # for any reply; generous, because test machines are loaded
READ_LIMIT_OCTETS = 64 * 1024 * 1024  # a whole message

STRANGER = "stranger@example.org"


class Client:
    """One connection. Waiting for the server raises TimeoutError after TIMEOUT_SECONDS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, octets: bytes) -> None:
        """Send raw octets."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            self.writer.write(octets)
            await self.writer.drain()

    async def line(self) -> bytes:
        """Read a line with its line end; an incomplete one only when the server has closed."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.reader.readline()

    async def octets(self, count: int) -> bytes:
        """Read exactly `count` octets."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.reader.readexactly(count)

    async def reply(self) -> bytes:
        """Read a reply; its line without the line end: SMTP's last one, POP3's first."""
        line = await self.line()
        while line[3:4] == b"-":
            line = await self.line()
        return line.removesuffix(b"\r\n")

    async def replies(self, count: int) -> list[bytes]:
        """Read `count` replies."""
        return [await self.reply() for _ in range(count)]

    async def ask(self, command: str) -> bytes:
        """Send one command and read its reply."""
        await self.send(f"{command}\r\n".encode())
        return await self.reply()

    async def ask_all(self, commands: Iterable[str]) -> list[bytes]:
        """Send commands one by one, each after the reply to the one before; their replies."""
        return [await self.ask(command) for command in commands]

    async def content(self) -> bytes:
        """Read a multi-line response after +OK, without dot-stuffing and the final dot."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            stuffed = await self.reader.readuntil(b"\r\n.\r\n")
        return stuffed.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")

    async def rest(self) -> bytes:
        """Read until the server closes or resets the connection."""
        received = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while octets := await self.reader.read(READ_LIMIT_OCTETS):
                    received += octets
        return received

    def pause(self) -> None:
        """Stop reading from the socket."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Resume reading from the socket."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection without QUIT."""
        self.writer.transport.abort()

    @property
    def _transport(self) -> asyncio.ReadTransport:
        return cast("asyncio.ReadTransport", self.writer.transport)


@contextlib.asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A connection whose greeting is not yet read."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(
            HOST, port, limit=READ_LIMIT_OCTETS, ssl=tls, server_hostname="localhost" if tls else None
        )
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.abort()


@contextlib.asynccontextmanager
async def smtp(port: int) -> AsyncIterator[Client]:
    """A client that has sent EHLO."""
    async with connected(port) as client:
        assert (await client.reply()).startswith(b"220")
        assert (await client.ask("EHLO client.example.org")).startswith(b"250")
        yield client


@contextlib.asynccontextmanager
async def pop3(port: int, address: str, key: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A client that has logged in and enabled UTF8 (RFC 6856), so that headers are sent unchanged."""
    async with connected(port, tls) as client:
        replies = [await client.reply(), *await client.ask_all(["UTF8", f"USER {address}", f"PASS {key}"])]
        assert all(reply.startswith(b"+OK") for reply in replies), replies
        yield client


async def begin_data(client: Client, *recipients: str, sender: str = STRANGER) -> bytes:
    """Send MAIL, RCPT and DATA; returns 354, or the first refusal after RSET."""
    for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients), "DATA"):
        reply = await client.ask(command)
        if reply[:1] not in b"23":
            await client.ask("RSET")
            break
    return reply


async def deliver(client: Client, content: bytes, *recipients: str) -> bytes:
    """Deliver a message of lines by DATA; the final reply."""
    reply = await begin_data(client, *recipients)
    if not reply.startswith(b"354"):
        return reply
    await client.send(stuff(content) + b".\r\n")
    return await client.reply()


async def deliver_chunks(client: Client, chunks: Sequence[bytes], *recipients: str) -> bytes:
    """Deliver any octets by pipelined BDAT; the final reply."""
    await client.ask_all([f"MAIL FROM:<{STRANGER}> BODY=BINARYMIME", *(f"RCPT TO:<{to}>" for to in recipients)])
    for chunk in chunks:
        await client.send(b"BDAT %d\r\n" % len(chunk) + chunk)
    await client.send(b"BDAT 0 LAST\r\n")
    return (await client.replies(len(chunks) + 1))[-1]


def stuff(content: bytes) -> bytes:
    """Stuff dots at the beginning of lines (RFC 5321 §4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


async def retrieve_all(client: Client) -> list[bytes]:
    """Retrieve all messages of the maildrop."""
    count = int((await client.ask("STAT")).split()[1])
    return [await retrieve(client, number) for number in range(1, count + 1)]


async def retrieve(client: Client, number: int) -> bytes:
    """Retrieve one message."""
    assert (await client.ask(f"RETR {number}")).startswith(b"+OK")
    return await client.content()
