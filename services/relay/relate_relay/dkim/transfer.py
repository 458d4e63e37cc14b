"""Encodes content for transfer (RFC 2045 §6.7, §6.8), in pieces. Pure."""

from binascii import b2a_base64, b2a_qp
from collections.abc import Iterator
from string import ascii_letters, digits

from relate_relay.dkim.data import BLOCK_OCTETS, line_blocks

MAX_LINE_OCTETS = 76
"""Octets of an encoded line, without CRLF (RFC 2045 §6.7 (5), §6.8)."""

_STEP_OCTETS = MAX_LINE_OCTETS // 4 * 3 * 1_000  # of content: it becomes whole lines
_ALPHABET = (ascii_letters + digits + "+/=").encode()
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _ALPHABET)


def encode_quoted_printable(content: bytes, start: int, stop: int) -> Iterator[bytes]:
    """The content in [start, stop) in quoted-printable. CRLF is a line end; a bare CR or LF is encoded."""
    for begin, end in line_blocks(content, start, stop):
        *whole, last = content[begin:end].split(b"\r\n")
        is_continued = end < stop and bool(last)  # the line is longer than the block
        yield b"\r\n".join([*map(_quote, whole), _quote(last, is_continued=is_continued)])


def encode_base64(content: bytes, start: int, stop: int) -> Iterator[bytes]:
    """The content in [start, stop) in base64."""
    for begin in range(start, stop, _STEP_OCTETS):
        yield _divide(b2a_base64(content[begin : min(begin + _STEP_OCTETS, stop)], newline=False))


def refold_base64(encoded: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Base64 in lines of MAX_LINE_OCTETS, without the octets that decoders ignore (RFC 2045 §6.8)."""
    rest = b""
    for begin in range(start, stop, BLOCK_OCTETS):
        octets = rest + encoded[begin : min(begin + BLOCK_OCTETS, stop)].translate(None, _NOT_BASE64)
        whole = len(octets) // MAX_LINE_OCTETS * MAX_LINE_OCTETS
        yield _divide(octets[:whole])
        rest = octets[whole:]
    yield _divide(rest)


def _quote(line: bytes, *, is_continued: bool = False) -> bytes:
    """A line in quoted-printable, with a soft line break at its end if it continues."""
    *broken, last = b2a_qp(line, istext=False).split(b"=\n")  # each LF of the content is encoded
    if is_continued:
        broken, last = [*broken, last], b""
    return b"=\r\n".join([*map(_with_room, broken), last])


def _with_room(encoded: bytes) -> bytes:
    """A part of a line with room for the soft line break after it.

    `b2a_qp` leaves none before the end of its input, nor before LF, even if that is not a line end. The last octet
    stands for itself then.
    """
    return encoded if len(encoded) < MAX_LINE_OCTETS else b"=\r\n".join((encoded[:-1], encoded[-1:]))


def _divide(encoded: bytes) -> bytes:
    lines = (encoded[start : start + MAX_LINE_OCTETS] for start in range(0, len(encoded), MAX_LINE_OCTETS))
    return b"".join([line + b"\r\n" for line in lines])
