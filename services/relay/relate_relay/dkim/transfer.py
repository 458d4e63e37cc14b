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
        lines = [b2a_qp(line, istext=False) for line in content[begin:end].split(b"\r\n")]
        yield b"\r\n".join(lines).replace(b"=\n", b"=\r\n")  # every LF in the content is encoded
        if end < stop and not content.endswith(b"\r\n", begin, end):
            yield b"=\r\n"  # the line is longer than the block


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


def _divide(encoded: bytes) -> bytes:
    lines = (encoded[start : start + MAX_LINE_OCTETS] for start in range(0, len(encoded), MAX_LINE_OCTETS))
    return b"".join([line + b"\r\n" for line in lines])
