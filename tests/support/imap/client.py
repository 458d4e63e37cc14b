"""An IMAP client for tests: sends octets unchanged, parses every response, waits for literal prompts.

async with connected(port) as client:
    result = await client.ask("SELECT INBOX")
"""

import asyncio
import contextlib
import re
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from tests.support.imap.responses import MalformedResponse, Response, ResponseReader

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 30.0  # for any response; generous, because test machines are loaded

_AWAITS = re.compile(rb"\{\d+\}\r\n\Z")


class Literal(NamedTuple):
    """A literal of a command. `plus`: non-synchronizing (RFC 7888). `binary`: literal8 (RFC 3516)."""

    octets: bytes
    plus: bool = False
    binary: bool = False

    @property
    def announced(self) -> bytes:
        """The announcement that precedes the octets."""
        return b"%b{%d%b}\r\n" % (b"~" * self.binary, len(self.octets), b"+" * self.plus)


Pieces = Sequence[str | bytes | Literal]


class CommandResult(NamedTuple):
    """Untagged responses and the tagged one of a command; `tagged` is None if the server closed the connection."""

    untagged: tuple[Response, ...]
    tagged: Response | None

    @property
    def status(self) -> str:
        """OK, NO or BAD; "" if the server closed the connection."""
        return self.tagged.kind if self.tagged else ""

    def of(self, kind: str) -> list[Response]:
        """The untagged responses of one kind."""
        return [response for response in self.untagged if response.kind == kind]


class ImapClient:
    """One connection. Waiting for the server raises TimeoutError after TIMEOUT_SECONDS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.closed = False
        self._responses: deque[Response] = deque()
        self._parser = ResponseReader()
        self._tags = 0
        self._inflate: zlib._Decompress | None = None
        self._deflate: zlib._Compress | None = None

    # --- conversation

    async def ask(self, *pieces: str | bytes | Literal) -> CommandResult:
        """Send one command and receive its responses. Synchronizing literals wait for "+"."""
        return await self.finish(await self.begin(*pieces))

    async def ok(self, *pieces: str | bytes | Literal) -> CommandResult:
        """Like `ask`; asserts OK."""
        answer = await self.ask(*pieces)
        assert answer.status == "OK", (pieces, answer)
        return answer

    async def begin(self, *pieces: str | bytes | Literal) -> str:
        """Send one command, up to a literal that is refused; returns its tag."""
        self._tags += 1
        tag = f"t{self._tags}"
        for octets in chunks_of(tag, pieces):
            await self.send(octets)
            if _AWAITS.search(octets) and not await self.receives_continuation():
                break
        return tag

    async def finish(self, tag: str) -> CommandResult:
        """Receive all responses up to the tagged one."""
        untagged: list[Response] = []
        while (response := await self.receive()) is not None and response.tag != tag:
            untagged.append(response)
        return CommandResult(tuple(untagged), response)

    async def idle(self) -> str:
        """Start IDLE; returns the tag for `done`. `receive` returns the pushed responses."""
        tag = await self.begin("IDLE")
        assert await self.receives_continuation(), "IDLE was refused"
        return tag

    async def done(self, tag: str) -> CommandResult:
        """Send DONE and receive the remaining responses."""
        await self.send(b"DONE\r\n")
        return await self.finish(tag)

    async def log_in(self, address: str, key: str) -> None:
        """Log in with LOGIN."""
        await self.ok(f'LOGIN "{address}" "{key}"')

    async def receives_continuation(self) -> bool:
        """Whether the next response is "+", which is consumed; untagged responses before it stay in the queue."""
        queued: list[Response] = []
        while (response := await self.receive()) is not None and response.tag == "*":
            queued.append(response)
        if response is not None and response.tag != "+":
            queued.append(response)
        self._responses.extendleft(reversed(queued))
        return response is not None and response.tag == "+"

    async def compress(self) -> None:
        """Negotiate COMPRESS DEFLATE (RFC 4978)."""
        await self.ok("COMPRESS DEFLATE")
        self.deflate()

    def deflate(self) -> None:
        """Compress in both directions, after an OK to COMPRESS."""
        assert not self._responses
        self._inflate = zlib.decompressobj(-15)
        self._deflate = zlib.compressobj(wbits=-15)

    # --- octets

    async def send(self, octets: bytes) -> None:
        """Send octets unchanged. A closed connection is reported by `receive`."""
        if self._deflate is not None:
            octets = self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                self.writer.write(octets)
                await self.writer.drain()

    async def receive(self) -> Response | None:
        """The next response; None if the server has closed. Raises MalformedResponse."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not self._responses and not self.closed:
                await self._read()
        return self._responses.popleft() if self._responses else None

    def take_received(self) -> tuple[Response, ...]:
        """Remove and return the queued responses."""
        responses = tuple(self._responses)
        self._responses.clear()
        return responses

    async def _read(self) -> None:
        try:
            octets = await self.reader.read(65_536)
        except ConnectionError:
            octets = b""
        if not octets:
            self.closed = True
            if self._parser.rest:
                raise MalformedResponse(f"closed within a response: {self._parser.rest!r}")
        self._responses.extend(self._parser.feed(self._inflate.decompress(octets) if self._inflate else octets))

    def abort(self) -> None:
        """Abort the connection."""
        self.writer.transport.abort()


def chunks_of(tag: str, pieces: Pieces) -> list[bytes]:
    """Encode a command, cut after each synchronizing literal's announcement."""
    chunks = [f"{tag} ".encode()]
    for piece in pieces:
        if isinstance(piece, Literal):
            chunks[-1] += piece.announced
            if piece.plus:
                chunks[-1] += piece.octets
            else:
                chunks.append(piece.octets)
        else:
            chunks[-1] += piece.encode("utf-8", "surrogateescape") if isinstance(piece, str) else piece
    chunks[-1] += b"\r\n"
    return chunks


@contextlib.asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[ImapClient]:
    """A connection, after the greeting."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, server_hostname="localhost" if tls else None
        )
    client = ImapClient(reader, writer)
    try:
        greeting = await client.receive()
        assert greeting is not None, "no greeting"
        assert (greeting.tag, greeting.kind) == ("*", "OK"), greeting
        yield client
    finally:
        client.abort()


@contextlib.asynccontextmanager
async def logged_in(port: int, address: str, key: str) -> AsyncIterator[ImapClient]:
    """A connection, after LOGIN."""
    async with connected(port) as client:
        await client.log_in(address, key)
        yield client
