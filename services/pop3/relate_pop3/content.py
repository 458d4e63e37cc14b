"""The bodies of RETR and TOP: a message as a multi-line response (RFC 1939 §3, §5, §7).

Messages are streamed: only one chunk is in memory, except for the header, which is read before +OK is sent. So a
message that cannot be read is answered with -ERR, not with a truncated message.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from relate_mailstore.ports import RawMessage
from relate_mime.surrogate import encode_header
from relate_wire.dots import DotEncoder

# A longer header is cut here and its rest treated as body. Real headers are shorter than 100 KiB.
MAX_HEADER_OCTETS = 1024 * 1024

# Octets that TOP reads at a time: nearly every header fits, and most previews.
TOP_BLOCK_OCTETS = 16 * 1024

Chunks = AsyncIterator[bytes]


class EncodedMessage(NamedTuple):
    """A message to send. `octets` is its size without the stuffed dots."""

    octets: int
    chunks: Chunks


async def encode_message(raw: RawMessage, utf8: bool) -> EncodedMessage:
    """A whole message. A CRLF is appended to a last line without one; the size does not count it."""
    chunks = raw.chunks()
    header, body = await read_header(chunks)
    sent = header if utf8 else encode_header(header)
    return EncodedMessage(raw.size - len(header) + len(sent), stuff_dots(sent + body, chunks))


async def encode_top(raw: RawMessage, utf8: bool, lines: int) -> Chunks:
    """The header and the first `lines` lines of the body. Only the blocks that hold them are read."""
    blocks = read_blocks(raw)
    header, body = await read_header(blocks)
    sent = header if utf8 else encode_header(header)
    return stuff_dots(sent, take_lines(body, blocks, lines))


async def read_blocks(raw: RawMessage) -> Chunks:
    """A message in blocks of TOP_BLOCK_OCTETS, each read on demand."""
    for start in range(0, raw.size, TOP_BLOCK_OCTETS):
        yield await raw.read(start, start + TOP_BLOCK_OCTETS)


async def read_header(chunks: Chunks) -> tuple[bytes, bytes]:
    """The header with its empty line, and the part of the body that was read with it."""
    start = b""
    async for chunk in chunks:
        start += chunk
        end = header_end(start)
        if end is not None:
            return start[:end], start[end:]
    return start, b""


def header_end(octets: bytes) -> int | None:
    """The offset behind the header's empty line; None if more octets are needed to find it."""
    if octets.startswith(b"\r\n"):
        return 2
    empty_line = octets.find(b"\r\n\r\n")
    if empty_line >= 0:
        return empty_line + 4
    return len(octets) if len(octets) >= MAX_HEADER_OCTETS else None


async def take_lines(start: bytes, rest: Chunks, lines: int) -> Chunks:
    """The first `lines` lines of `start` and `rest`. `rest` is read only as far as needed."""
    yield start[: end_of_lines(start, lines)]
    lines -= start.count(b"\n")
    while lines > 0 and (chunk := await anext(rest, b"")):
        yield chunk[: end_of_lines(chunk, lines)]
        lines -= chunk.count(b"\n")


def end_of_lines(octets: bytes, lines: int) -> int:
    """The offset behind the first `lines` lines, or the end of the octets if they hold fewer."""
    if octets.count(b"\n") < lines:
        return len(octets)
    end = 0
    for _ in range(lines):
        end = octets.index(b"\n", end) + 1
    return end


async def stuff_dots(start: bytes, rest: Chunks) -> Chunks:
    """`start` and `rest`, dot-stuffed and terminated."""
    dots = DotEncoder()
    yield dots.encode(start)
    async for chunk in rest:
        yield dots.encode(chunk)
    yield dots.finish()
