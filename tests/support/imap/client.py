"""An IMAP client for tests: says octets as it is told to, hears every response, understands literals.

async with connected(port) as client:
    answer = await client.ask("SELECT INBOX")
"""

import asyncio
import contextlib
import re
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from tests.support.imap.answers import Reader, Response, Unreadable

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds for any answer; a loaded machine needs more than an idle one

_AWAITS = re.compile(rb"\{\d+\}\r\n\Z")


class Literal(NamedTuple):
    """A literal of a command. `plus`: sent without waiting (RFC 7888). `binary`: literal8 (RFC 3516)."""

    octets: bytes
    plus: bool = False
    binary: bool = False

    @property
    def announced(self) -> bytes:
        """What goes before the octets."""
        return b"%b{%d%b}\r\n" % (b"~" * self.binary, len(self.octets), b"+" * self.plus)


Pieces = Sequence[str | bytes | Literal]


class Answer(NamedTuple):
    """What came of one command: the untagged responses, then the tagged one; None when the server closed instead."""

    untagged: tuple[Response, ...]
    tagged: Response | None

    @property
    def status(self) -> str:
        """OK, NO or BAD; "" when the server closed."""
        return self.tagged.kind if self.tagged else ""

    def of(self, kind: str) -> list[Response]:
        """The untagged responses of one kind."""
        return [response for response in self.untagged if response.kind == kind]


class ImapClient:
    """One connection. What waits for the server fails its test after PATIENCE."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.closed = False
        self._responses: deque[Response] = deque()
        self._parser = Reader()
        self._tags = 0
        self._inflate: zlib._Decompress | None = None
        self._deflate: zlib._Compress | None = None

    # --- conversation

    async def ask(self, *pieces: str | bytes | Literal) -> Answer:
        """Say one command, and hear its answer. Literals wait for their "+"."""
        return await self.finish(await self.begin(*pieces))

    async def ok(self, *pieces: str | bytes | Literal) -> Answer:
        """`ask`, and it has to be answered OK."""
        answer = await self.ask(*pieces)
        assert answer.status == "OK", (pieces, answer)
        return answer

    async def begin(self, *pieces: str | bytes | Literal) -> str:
        """Say one command, as far as the server wants to hear it; its tag."""
        self._tags += 1
        tag = f"t{self._tags}"
        for octets in chunks_of(tag, pieces):
            await self.send(octets)
            if _AWAITS.search(octets) and not await self.is_asked_for_more():
                break
        return tag

    async def finish(self, tag: str) -> Answer:
        """All that is said up to the tagged response."""
        untagged: list[Response] = []
        while (response := await self.hear()) is not None and response.tag != tag:
            untagged.append(response)
        return Answer(tuple(untagged), response)

    async def idle(self) -> str:
        """Begin IDLE: the tag that `done` takes. What is pushed meanwhile, `hear` returns."""
        tag = await self.begin("IDLE")
        assert await self.is_asked_for_more(), "IDLE was refused"
        return tag

    async def done(self, tag: str) -> Answer:
        """End IDLE."""
        await self.send(b"DONE\r\n")
        return await self.finish(tag)

    async def log_in(self, address: str, key: str) -> None:
        """LOGIN."""
        await self.ok(f'LOGIN "{address}" "{key}"')

    async def is_asked_for_more(self) -> bool:
        """Whether "+" is next but for untagged responses, which stay to be heard; "+" does not."""
        kept: list[Response] = []
        while (response := await self.hear()) is not None and response.tag == "*":
            kept.append(response)
        if response is not None and response.tag != "+":
            kept.append(response)
        self._responses.extendleft(reversed(kept))
        return response is not None and response.tag == "+"

    async def compress(self) -> None:
        """COMPRESS DEFLATE (RFC 4978), and go on compressed."""
        await self.ok("COMPRESS DEFLATE")
        self.deflate()

    def deflate(self) -> None:
        """COMPRESS was answered OK: everything is compressed from here on, in both directions."""
        assert not self._responses
        self._inflate = zlib.decompressobj(-15)
        self._deflate = zlib.compressobj(wbits=-15)

    # --- octets

    async def send(self, octets: bytes) -> None:
        """Send octets as they are. A server that has closed is noticed by `hear`."""
        if self._deflate is not None:
            octets = self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                self.writer.write(octets)
                await self.writer.drain()

    async def hear(self) -> Response | None:
        """The next response; None when the server has closed. Raises Unreadable."""
        async with asyncio.timeout(PATIENCE):
            while not self._responses and not self.closed:
                await self._read()
        return self._responses.popleft() if self._responses else None

    def heard(self) -> tuple[Response, ...]:
        """What has been said and nobody has asked for."""
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
                raise Unreadable(f"closed within a response: {self._parser.rest!r}")
        self._responses.extend(self._parser.feed(self._inflate.decompress(octets) if self._inflate else octets))

    def abort(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()


def chunks_of(tag: str, pieces: Pieces) -> list[bytes]:
    """A command as octets, cut after each literal that the server has to ask for."""
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
    """A connection that was greeted."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, server_hostname="localhost" if tls else None
        )
    client = ImapClient(reader, writer)
    try:
        greeting = await client.hear()
        assert greeting is not None, "no greeting"
        assert (greeting.tag, greeting.kind) == ("*", "OK"), greeting
        yield client
    finally:
        client.abort()


@contextlib.asynccontextmanager
async def logged_in(port: int, address: str, key: str) -> AsyncIterator[ImapClient]:
    """A connection that has logged in."""
    async with connected(port) as client:
        await client.log_in(address, key)
        yield client
