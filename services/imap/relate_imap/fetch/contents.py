"""Sends sections of one message: BODY[…], BINARY[…], BINARY.SIZE[…]. Pure.

A literal begins with its size, which comes from the message's index, so that a large message is streamed and never in
memory as a whole.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from relate_imap.commands import BinarySize, Body, Section
from relate_imap.fetch.plan import label_of
from relate_imap.fetch.sections import (
    Span,
    find_part,
    find_span,
    header_section,
    is_field_list,
    is_whole_message,
    parts_of,
    replace_nul,
)
from relate_imap.replies import Refused
from relate_mailstore.ports import RawMessage
from relate_mime import MessageIndex, Part
from relate_mime.streams import TRANSFER_ENCODINGS, Chunks, clip, decode, measure

COALESCE_OCTETS = 64 * 1024
"""Chunks are coalesced up to this size. An error before the first chunk is sent can still be a NO for its message."""


class UnfinishedLiteral(Exception):
    """The message had fewer or more octets than its literal announced: the connection must be closed."""


@dataclass
class SectionReader:
    """Reads the requested sections of an opened message. `index` may be None if only the whole message is requested."""

    raw: RawMessage
    index: MessageIndex | None

    def __post_init__(self) -> None:
        self._parts = parts_of(self.index) if self.index is not None else {}

    async def response(self, head: bytes, bodies: tuple[Body | BinarySize, ...]) -> Chunks:
        """A FETCH response: `head`, the sections, the end. Raises Refused before the first chunk."""
        for body in bodies:
            self._check_encoding(body)
        yield head
        for index, body in enumerate(bodies):
            if index:
                yield b" "
            async for chunk in self._binary_size(body) if isinstance(body, BinarySize) else self._body(body):
                yield chunk
        yield b")\r\n"

    def response_from_memory(self, head: bytes, bodies: tuple[Body | BinarySize, ...]) -> bytes | None:
        """The response as one value; None if the message is not in memory or has to be decoded, which is rare."""
        raw = self.raw.buffered
        if raw is None:
            return None
        parts: list[bytes] = []
        for body in bodies:
            if isinstance(body, BinarySize) or body.binary:
                return None
            parts.append(self._section_from_memory(body, raw))
        return b"%b%b)\r\n" % (head, b" ".join(parts))

    def _section_from_memory(self, body: Body, raw: bytes) -> bytes:
        span = self._span(body.section)
        if span is None:
            return label_of(body) + b" NIL"
        if is_field_list(body.section):
            octets = header_section(body.section, raw[span.start : span.stop], body.partial)
        else:
            span = span.clip(body.partial)
            octets = raw[span.start : span.stop]
            if len(octets) != span.octets:
                raise UnfinishedLiteral("the message's length differs from its index")
        return b"%b {%d}\r\n%b" % (label_of(body), len(octets), replace_nul(octets))

    def _body(self, body: Body) -> Chunks:
        if body.binary and not is_whole_message(body.section):
            return self._send_decoded(body)
        return self._send_verbatim(body)

    async def _send_verbatim(self, body: Body) -> Chunks:
        span = self._span(body.section)
        if span is None:
            yield label_of(body) + b" NIL"
        elif is_field_list(body.section):
            octets = replace_nul(header_section(body.section, await self.raw.read(*span), body.partial))
            yield b"%b {%d}\r\n%b" % (label_of(body), len(octets), octets)
        else:
            span = span.clip(body.partial)
            chunks = self.raw.chunks(*span)
            if body.binary:
                yield b"%b ~{%d}\r\n" % (label_of(body), span.octets)
            else:
                yield b"%b {%d}\r\n" % (label_of(body), span.octets)
                chunks = _replace_nuls(chunks)
            async for chunk in _checked(span.octets, chunks):
                yield chunk

    async def _send_decoded(self, body: Body) -> Chunks:
        part = find_part(body.section, self._parts)
        if part is None:
            yield label_of(body) + b" NIL"
            return
        measured = await measure(lambda: self._decode(part, body.partial))
        yield b"%b %b{%d}\r\n" % (label_of(body), b"~" if measured.has_nul else b"", measured.octets)
        if measured.content is not None:
            yield measured.content
            return
        async for chunk in _checked(measured.octets, self._decode(part, body.partial)):
            yield chunk

    async def _binary_size(self, size: BinarySize) -> Chunks:
        """RFC 3516 §4.3: exact, so the content is decoded to measure it. A part that does not exist has size 0."""
        octets = self.raw.size
        if not is_whole_message(size.section):
            part = find_part(size.section, self._parts)
            octets = (await measure(lambda: self._decode(part, None))).octets if part else 0
        yield b"%b %d" % (size.label, octets)

    def _span(self, section: Section) -> Span | None:
        return find_span(section, self._parts, self.raw.size)

    def _check_encoding(self, body: Body | BinarySize) -> None:
        """Raises Refused for an unknown transfer encoding (RFC 3516 §4.2)."""
        if is_whole_message(body.section) or not (isinstance(body, BinarySize) or body.binary):
            return
        part = find_part(body.section, self._parts)
        if part is not None and part.encoding not in TRANSFER_ENCODINGS:
            raise Refused("Unknown transfer encoding", "UNKNOWN-CTE")

    def _decode(self, part: Part, partial: tuple[int, int] | None) -> Chunks:
        return clip(decode(self.raw.chunks(part.body, part.end), part.encoding), partial)


async def coalesce(chunks: Chunks) -> Chunks:
    """Join small chunks; large ones are passed on."""
    buffered: list[bytes] = []
    octets = 0
    async for chunk in chunks:
        buffered.append(chunk)
        octets += len(chunk)
        if octets >= COALESCE_OCTETS:
            yield b"".join(buffered)
            buffered, octets = [], 0
    if buffered:
        yield b"".join(buffered)


async def _checked(octets: int, chunks: AsyncIterator[bytes]) -> Chunks:
    """Raises UnfinishedLiteral if the number of octets differs."""
    async for chunk in chunks:
        octets -= len(chunk)
        if octets < 0:
            break
        yield chunk
    if octets:
        raise UnfinishedLiteral("the message's length differs from its index")


async def _replace_nuls(chunks: AsyncIterator[bytes]) -> Chunks:
    async for chunk in chunks:
        yield replace_nul(chunk)
