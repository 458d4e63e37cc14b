"""The relaxed canonicalisation of header fields and bodies (RFC 6376 §3.4.2, §3.4.4). Pure.

A line ends at CRLF. A bare CR or LF is an octet like any other: it cannot be sent, so that `next_hop` encodes it before
the message is signed. Time is linear, memory is bounded, and the result does not depend on how a body is split.
"""

import re
from collections.abc import Callable

BLOCK_OCTETS = 65_536
"""Octets of a body that are examined per step, because searching holds the GIL: a fraction of a millisecond."""

_LINE_ENDS = re.compile(rb"(?<!\r\n)(?:\r\n)++\Z")  # tried only at the start of a run, because that makes it linear
_HELD = (b" \r", b"\r", b" ")
_LINE_END = b"\r\n"


def canonical_field(field: bytes) -> bytes:
    """A header field, with or without its CRLF, in relaxed form with CRLF (RFC 6376 §3.4.2)."""
    name, _, value = field.replace(_LINE_END, b"").partition(b":")
    return b"%b:%b\r\n" % (name.strip(b" \t").lower(), _collapse(value).strip(b" "))


class RelaxedBody:
    """Canonicalises a body, chunk by chunk, into `write`, such as the `update` of a hash (RFC 6376 §3.4.4).

    Octets that need no change are passed on as views of the chunk, not copied.
    """

    def __init__(self, write: Callable[[bytes | memoryview], object]) -> None:
        self._write = write
        self._held = b""  # the end of the last block, whose meaning depends on the next octet: one of _HELD
        self._line_ends = 0  # CRLFs that count only if content follows
        self._has_content = False

    def feed(self, octets: bytes) -> None:
        """Canonicalise the next chunk; chunks may be cut anywhere."""
        for start in range(0, len(octets), BLOCK_OCTETS):
            stop = min(start + BLOCK_OCTETS, len(octets))
            if self._held:
                block = self._held + octets[start:stop]
                self._feed_block(block, 0, len(block))
            else:
                self._feed_block(octets, start, stop)

    def finish(self) -> None:
        """Write what is held: the last line gets the CRLF that it lacks, because the message is sent with one."""
        if self._held.endswith(b"\r"):
            self._write_content(self._held, 0, len(self._held))
        if self._has_content:
            self._write(_LINE_END)

    def _feed_block(self, octets: bytes, start: int, stop: int) -> None:
        end = _content_end(octets, start, stop)
        if end > start:
            self._write_content(octets, start, end)
        self._hold(octets[end:stop])

    def _write_content(self, octets: bytes, start: int, end: int) -> None:
        self._write_line_ends()
        self._has_content = True
        if _needs_rewriting(octets, start, end):
            self._write(_rewrite(octets[start:end]))
        else:
            self._write(memoryview(octets)[start:end])

    def _hold(self, tail: bytes) -> None:
        """Take the white space and line ends at the end of a block."""
        tail = _rewrite(tail)
        self._held = next((held for held in _HELD if tail.endswith(held)), b"")
        tail = tail.removesuffix(self._held)
        final = _LINE_ENDS.search(tail)
        bare = final.start() if final else len(tail)  # bare CR and LF, perhaps between line ends
        if bare:
            self._write_content(tail, 0, bare)
        self._line_ends += (len(tail) - bare) // len(_LINE_END)

    def _write_line_ends(self) -> None:
        while self._line_ends:
            count = min(self._line_ends, BLOCK_OCTETS)
            self._write(_LINE_END * count)
            self._line_ends -= count


def _content_end(octets: bytes, start: int, stop: int) -> int:
    """The end of the block without the white space and line ends at its end."""
    if octets[stop - 1] not in b" \t\r\n":
        return stop
    return start + len(octets[start:stop].rstrip(b" \t\r\n"))


def _needs_rewriting(octets: bytes, start: int, end: int) -> bool:
    return any(octets.find(pattern, start, end) >= 0 for pattern in (b"\t", b"  ", b" \r\n"))


def _rewrite(octets: bytes) -> bytes:
    return _collapse(octets).replace(b" \r\n", _LINE_END)


def _collapse(octets: bytes) -> bytes:
    """Replace each run of white space by one space. In text that is six times as fast as a regular expression."""
    octets = octets.replace(b"\t", b" ")
    while b"  " in octets:  # each pass halves the runs, so that there are at most 16 for a block
        octets = octets.replace(b"  ", b" ")
    return octets
