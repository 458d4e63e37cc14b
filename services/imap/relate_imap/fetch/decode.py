"""BINARY[…] (RFC 3516): content with its transfer encoding undone, in pieces, however long it is. Pure.

How long the result is must be said before it, and is not known: what is not small is decoded twice.
"""

import binascii
from collections.abc import AsyncIterator, Callable
from string import ascii_letters, digits
from typing import NamedTuple

from relate_mailstore.mime.transfer import QuotedPrintableDecoder

TRANSFER_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})

MAX_BUFFERED_OCTETS = 1024 * 1024
"""Octets of a decoded content that are kept between measuring and sending it: nearly every part has fewer."""

Chunks = AsyncIterator[bytes]

_NOT_BASE64 = bytes({*range(256)} - {*(ascii_letters + digits + "+/=").encode()})


class Measured(NamedTuple):
    """How long a content is, whether there is a NUL in it, and all of it, if it is small."""

    octets: int
    has_nul: bool
    held: bytes | None


def decode(chunks: Chunks, encoding: str) -> Chunks:
    """A content decoded; where the chunks begin and end makes no difference. `encoding` is one of KNOWN."""
    match encoding:
        case "base64":
            return _decode_base64(chunks)
        case "quoted-printable":
            return _decode_quoted_printable(chunks)
        case _:
            return chunks


async def _decode_base64(chunks: Chunks) -> Chunks:
    """Four characters are three octets, padding is the end, and all else is passed over (RFC 2045 §6.8)."""
    rest = b""
    async for chunk in chunks:
        rest, padding, _ = (rest + chunk.translate(None, _NOT_BASE64)).partition(b"=")
        whole = len(rest) & ~3
        yield binascii.a2b_base64(rest[:whole])
        rest = rest[whole:]
        if padding:
            break
    if len(rest) > 1:  # six bits alone are no octet
        yield binascii.a2b_base64(rest + b"==")


async def _decode_quoted_printable(chunks: Chunks) -> Chunks:
    decoder = QuotedPrintableDecoder()
    async for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.finish()


async def clip(pieces: Chunks, partial: tuple[int, int] | None) -> Chunks:
    """The octets that `<offset.octets>` names; no more is read than they need."""
    offset, wanted = partial or (0, None)
    async for piece in pieces:
        kept = piece[offset:] if wanted is None else piece[offset : offset + wanted]
        offset = max(0, offset - len(piece))
        if kept:
            yield kept
        if wanted is not None and (wanted := wanted - len(kept)) <= 0:
            return


async def measure(make: Callable[[], Chunks]) -> Measured:
    """Decode once, to know how long it is."""
    octets, has_nul, held = 0, False, [b""]
    async for piece in make():
        octets += len(piece)
        has_nul = has_nul or b"\0" in piece
        if octets <= MAX_BUFFERED_OCTETS:
            held.append(piece)
        else:
            held.clear()
    return Measured(octets, has_nul, b"".join(held) if octets <= MAX_BUFFERED_OCTETS else None)
