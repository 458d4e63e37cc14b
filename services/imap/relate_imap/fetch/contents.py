"""The contents of one message, read as they are sent: BODY[…], BINARY[…], BINARY.SIZE[…]. Pure.

A literal says its length first: that comes from the index, so that nothing long is ever held whole.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from relate_imap.commands import BinarySize, Body, Section
from relate_imap.fetch.decode import KNOWN, Pieces, clip, decode, measure
from relate_imap.fetch.plan import label_of
from relate_imap.fetch.sections import (
    Span,
    chooses_fields,
    find_part,
    find_span,
    is_whole,
    of_header,
    parts_of,
    without_nul,
)
from relate_imap.replies import Refused
from relate_mailstore.ports import RawMessage
from relate_mailstore.types import MessageIndex, Part

GATHERED = 64 * 1024
"""Octets that are put together before they are sent. What goes wrong before that can still be said in a sentence."""


class UnfinishedLiteral(Exception):
    """Less, or more, was read than had been announced: no answer can be right any more."""


@dataclass
class Contents:
    """A message that was opened; `index` is there if anything but the whole message is asked for."""

    raw: RawMessage
    index: MessageIndex | None

    def __post_init__(self) -> None:
        self._parts = parts_of(self.index) if self.index is not None else {}

    async def response(self, head: bytes, bodies: tuple[Body | BinarySize, ...]) -> Pieces:
        """A FETCH response: its beginning, these contents, its end. Raises Refused before all of it."""
        for body in bodies:
            self._check_encoding(body)
        yield head
        for place, body in enumerate(bodies):
            if place:
                yield b" "
            async for piece in self._binary_size(body) if isinstance(body, BinarySize) else self._body(body):
                yield piece
        yield b")\r\n"

    def at_once(self, head: bytes, bodies: tuple[Body | BinarySize, ...]) -> bytes | None:
        """The same in one piece, if it is at hand and no content has to be decoded: nearly always."""
        raw = self.raw.buffered
        if raw is None:
            return None
        parts: list[bytes] = []
        for body in bodies:
            if isinstance(body, BinarySize) or body.binary:
                return None
            parts.append(self._small(body, raw))
        return b"%b%b)\r\n" % (head, b" ".join(parts))

    def _small(self, body: Body, raw: bytes) -> bytes:
        span = self._span(body.section)
        if span is None:
            return label_of(body) + b" NIL"
        if chooses_fields(body.section):
            octets = of_header(body.section, raw[span.start : span.stop], body.partial)
        else:
            span = span.clip(body.partial)
            octets = raw[span.start : span.stop]
            if len(octets) != span.octets:
                raise UnfinishedLiteral("a message is not as long as its index says")
        return b"%b {%d}\r\n%b" % (label_of(body), len(octets), without_nul(octets))

    def _body(self, body: Body) -> Pieces:
        if body.binary and not is_whole(body.section):
            return self._decoded(body)
        return self._as_it_is(body)

    async def _as_it_is(self, body: Body) -> Pieces:
        span = self._span(body.section)
        if span is None:
            yield label_of(body) + b" NIL"
        elif chooses_fields(body.section):
            octets = without_nul(of_header(body.section, await self.raw.read(*span), body.partial))
            yield b"%b {%d}\r\n%b" % (label_of(body), len(octets), octets)
        else:
            span = span.clip(body.partial)
            chunks = self.raw.chunks(*span)
            if body.binary:
                yield b"%b ~{%d}\r\n" % (label_of(body), span.octets)
            else:
                yield b"%b {%d}\r\n" % (label_of(body), span.octets)
                chunks = _without_nul(chunks)
            async for chunk in _exactly(span.octets, chunks):
                yield chunk

    async def _decoded(self, body: Body) -> Pieces:
        part = find_part(body.section, self._parts)
        if part is None:
            yield label_of(body) + b" NIL"
            return
        measured = await measure(lambda: self._decoding(part, body.partial))
        yield b"%b %b{%d}\r\n" % (label_of(body), b"~" if measured.has_nul else b"", measured.octets)
        if measured.held is not None:
            yield measured.held
            return
        async for piece in _exactly(measured.octets, self._decoding(part, body.partial)):
            yield piece

    async def _binary_size(self, size: BinarySize) -> Pieces:
        """RFC 3516 §4.3: exact, so the content is decoded for it. What is not there has no octets."""
        octets = self.raw.size
        if not is_whole(size.section):
            part = find_part(size.section, self._parts)
            octets = (await measure(lambda: self._decoding(part, None))).octets if part else 0
        yield b"%b %d" % (size.label, octets)

    def _span(self, section: Section) -> Span | None:
        return find_span(section, self._parts, self.raw.size)

    def _check_encoding(self, body: Body | BinarySize) -> None:
        """Raises Refused for an encoding that nobody knows (RFC 3516 §4.2)."""
        if is_whole(body.section) or not (isinstance(body, BinarySize) or body.binary):
            return
        part = find_part(body.section, self._parts)
        if part is not None and part.encoding not in KNOWN:
            raise Refused("The content is encoded in an unknown way", "UNKNOWN-CTE")

    def _decoding(self, part: Part, partial: tuple[int, int] | None) -> Pieces:
        return clip(decode(self.raw.chunks(part.body, part.end), part.encoding), partial)


async def gather(pieces: Pieces) -> Pieces:
    """The same octets in fewer pieces: small ones are put together, big ones go as they come."""
    waiting: list[bytes] = []
    octets = 0
    async for piece in pieces:
        waiting.append(piece)
        octets += len(piece)
        if octets >= GATHERED:
            yield b"".join(waiting)
            waiting, octets = [], 0
    if waiting:
        yield b"".join(waiting)


async def _exactly(octets: int, chunks: AsyncIterator[bytes]) -> Pieces:
    """Raises UnfinishedLiteral where they are not as many as was said."""
    async for chunk in chunks:
        octets -= len(chunk)
        if octets < 0:
            break
        yield chunk
    if octets:
        raise UnfinishedLiteral("a message is not as long as its index says")


async def _without_nul(chunks: AsyncIterator[bytes]) -> Pieces:
    async for chunk in chunks:
        yield without_nul(chunk)
