"""Decodes the transfer encoding of a part as a stream, in memory that does not depend on its size. Pure.

IMAP's literals (BINARY, RFC 3516) and HTTP's Content-Length need the decoded size first, so a part that does not fit
the buffer is decoded twice.
"""

import binascii
from collections.abc import AsyncIterator, Callable
from string import ascii_letters, digits
from typing import NamedTuple

from relate_mime.transfer import QuotedPrintableDecoder

TRANSFER_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})

MAX_BUFFERED_OCTETS = 1024 * 1024
"""Decoded content is buffered up to this size between measuring and sending; nearly all parts are smaller."""

Chunks = AsyncIterator[bytes]

_NOT_BASE64 = bytes({*range(256)} - {*(ascii_letters + digits + "+/=").encode()})


class Measured(NamedTuple):
    """The size of decoded content, whether it contains NUL, and the content itself if it is small."""

    octets: int
    has_nul: bool
    content: bytes | None


def decode(chunks: Chunks, encoding: str) -> Chunks:
    """Decode content that is cut into chunks anywhere. `encoding` is one of TRANSFER_ENCODINGS."""
    match encoding:
        case "base64":
            return _decode_base64(chunks)
        case "quoted-printable":
            return _decode_quoted_printable(chunks)
        case _:
            return chunks


async def _decode_base64(chunks: Chunks) -> Chunks:
    """Padding ends the content; octets outside of the alphabet are ignored (RFC 2045 §6.8)."""
    rest = b""
    async for chunk in chunks:
        rest, padding, _ = (rest + chunk.translate(None, _NOT_BASE64)).partition(b"=")
        decodable = len(rest) & ~3
        yield binascii.a2b_base64(rest[:decodable])
        rest = rest[decodable:]
        if padding:
            break
    if len(rest) > 1:  # six bits alone are no octet
        yield binascii.a2b_base64(rest + b"==")


async def _decode_quoted_printable(chunks: Chunks) -> Chunks:
    decoder = QuotedPrintableDecoder()
    async for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.finish()


async def clip(chunks: Chunks, partial: tuple[int, int] | None) -> Chunks:
    """The octets of a partial (offset, octets); reads no chunk beyond them."""
    offset, missing = partial or (0, None)
    async for chunk in chunks:
        clipped = chunk[offset:] if missing is None else chunk[offset : offset + missing]
        offset = max(0, offset - len(chunk))
        if clipped:
            yield clipped
        if missing is not None and (missing := missing - len(clipped)) <= 0:
            return


async def measure(make: Callable[[], Chunks]) -> Measured:
    """Decode once to measure the size."""
    octets, has_nul, buffered = 0, False, [b""]
    async for chunk in make():
        octets += len(chunk)
        has_nul = has_nul or b"\0" in chunk
        if octets <= MAX_BUFFERED_OCTETS:
            buffered.append(chunk)
        else:
            buffered.clear()
    return Measured(octets, has_nul, b"".join(buffered) if octets <= MAX_BUFFERED_OCTETS else None)
