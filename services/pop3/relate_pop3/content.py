"""What RETR and TOP send: a message, or its top, as a multi-line response (RFC 1939 §3, §5, §7).

Messages are streamed: no more than one chunk is held, except for the header, which is looked at before +OK is said.
So a message that cannot be read is an -ERR, and not half a message.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from relate_mailstore.ports import RawMessage
from relate_pop3.surrogate import encode_header
from relate_wire.dots import DotEncoder

# What is beyond this counts as body; real headers stay below 100 KiB.
MAX_HEADER = 1024 * 1024

# TOP reads as much at a time: nearly every header fits, and most previews.
TOP_BLOCK = 16 * 1024

Chunks = AsyncIterator[bytes]


class Content(NamedTuple):
    """A message about to be sent. `octets` is its size, without the dots that are stuffed."""

    octets: int
    chunks: Chunks


async def whole(raw: RawMessage, utf8: bool) -> Content:
    """All of a message. A last line without CRLF gets one, which its size does not count."""
    chunks = raw.chunks()
    header, body = await read_header(chunks)
    sent = header if utf8 else encode_header(header)
    return Content(raw.size - len(header) + len(sent), encode_content(sent + body, chunks))


async def top(raw: RawMessage, utf8: bool, lines: int) -> Chunks:
    """The header, and so many lines of the body. No more is read than they need."""
    blocks = read_blocks(raw)
    header, body = await read_header(blocks)
    sent = header if utf8 else encode_header(header)
    return encode_content(sent, cut_lines(body, blocks, lines))


async def read_blocks(raw: RawMessage) -> Chunks:
    """A message in the blocks of TOP; each is read when it is asked for."""
    for start in range(0, raw.size, TOP_BLOCK):
        yield await raw.read(start, start + TOP_BLOCK)


async def read_header(content: Chunks) -> tuple[bytes, bytes]:
    """The header with its empty line, and as much of the body as came along."""
    start = b""
    async for chunk in content:
        start += chunk
        end = header_end(start)
        if end is not None:
            return start[:end], start[end:]
    return start, b""


def header_end(octets: bytes) -> int | None:
    """Where the header ends, behind its empty line; None when that has not come yet."""
    if octets.startswith(b"\r\n"):
        return 2
    empty_line = octets.find(b"\r\n\r\n")
    if empty_line >= 0:
        return empty_line + 4
    return len(octets) if len(octets) >= MAX_HEADER else None


async def cut_lines(start: bytes, rest: Chunks, lines: int) -> Chunks:
    """The first so many lines of what was read already and the rest. No more is read than they need."""
    yield start[: end_of_lines(start, lines)]
    lines -= start.count(b"\n")
    while lines > 0 and (chunk := await anext(rest, b"")):
        yield chunk[: end_of_lines(chunk, lines)]
        lines -= chunk.count(b"\n")


def end_of_lines(octets: bytes, lines: int) -> int:
    """Where the first so many lines end; the end of the octets if there are fewer."""
    if octets.count(b"\n") < lines:
        return len(octets)
    end = 0
    for _ in range(lines):
        end = octets.index(b"\n", end) + 1
    return end


async def encode_content(start: bytes, rest: Chunks) -> Chunks:
    """What was read already and the rest, dot-stuffed and ended."""
    dots = DotEncoder()
    yield dots.encode(start)
    async for chunk in rest:
        yield dots.encode(chunk)
    yield dots.finish()
