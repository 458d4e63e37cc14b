"""The kinds of data that a message consists of: 7bit, 8bit, binary (RFC 2045 §2.7 to §2.9). Pure.

Octets are examined in blocks, because a search holds the GIL.
"""

from collections.abc import Iterator
from enum import IntEnum

MAX_LINE_OCTETS = 998
"""Octets of a line, without CRLF (RFC 5322 §2.1.1)."""

BLOCK_OCTETS = 65_536
"""Octets per step of a search: a fraction of a millisecond."""

_CR, _NUL = 0x0D, 0x00


class Data(IntEnum):
    """What a server must support to receive the data: nothing, 8BITMIME (RFC 6152), or BINARYMIME (RFC 3030)."""

    SEVEN_BIT = 0
    EIGHT_BIT = 1
    BINARY = 2
    """It has NUL, a CR or LF that is not in CRLF, or a line of more than MAX_LINE_OCTETS."""


def classify(octets: bytes, start: int, stop: int) -> Data:
    """The kind of the data in [start, stop)."""
    found = Data.SEVEN_BIT
    for begin, end in line_blocks(octets, start, stop):
        block = octets[begin:end]
        if _is_binary(block):
            return Data.BINARY
        if not block.isascii():
            found = Data.EIGHT_BIT
    return found


def line_blocks(octets: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Divide [start, stop) into blocks of at most BLOCK_OCTETS, after an LF if there is one, but never within CRLF."""
    while start < stop:
        end = min(start + BLOCK_OCTETS, stop)
        if end < stop:
            end = octets.rfind(b"\n", start, end) + 1 or end
            end -= octets[end - 1] == _CR
        yield start, end
        start = end


def has_bare_line_end(octets: bytes) -> bool:
    """Whether octets have a CR or LF that is not in CRLF, which must not be sent (RFC 5321 §2.3.8)."""
    return not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")


def has_long_line(octets: bytes) -> bool:
    """Whether octets, whose lines end at LF, have a line of more than MAX_LINE_OCTETS."""
    position = 0
    while len(octets) - position > MAX_LINE_OCTETS:
        # The last line end within reach: all lines before it are shorter, too.
        position = octets.rfind(b"\n", position, position + MAX_LINE_OCTETS + 2) + 1
        if not position:
            return True
    return False


def _is_binary(block: bytes) -> bool:
    return _NUL in block or has_bare_line_end(block) or has_long_line(block)
