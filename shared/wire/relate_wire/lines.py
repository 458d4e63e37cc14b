"""Splits a stream of octets into lines, for all line protocols (RFC 5321 §2.3.8, RFC 1939 §3, RFC 9051 §2.2).

A line ends at LF. A bare LF, a bare CR or a NUL is reported beside the octets, because each protocol has its own rule
for them. A line beyond the limit is discarded as it arrives and reported once, at its end.
"""

from enum import Enum, auto
from typing import NamedTuple

MAX_RESPONSE_OCTETS = 12_288
"""The longest SASL response line, CRLF included: the length that RFC 4954 §4 considers sufficient."""

# As integers, because `CR in octets` takes a fifth of the time of `b"\r" in octets`.
CR = 0x0D
NUL = 0x00


class LineFault(Enum):
    """A defect of a line, or of the content of a message."""

    TOO_LONG = auto()
    BARE_LF = auto()
    BARE_CR = auto()
    NUL = auto()


class Line(NamedTuple):
    """One line without its end; the octets of an over-long line are discarded."""

    octets: bytes
    fault: LineFault | None = None


class LineBuffer:
    """Buffers octets and returns lines of at most `max_line` octets, line end included.

    Feed it only after `next_line` returned None: then it holds less than `max_line` octets beyond the fed data.
    """

    def __init__(self, max_line: int) -> None:
        self.max_line = max_line
        self.consumed = 0
        """Octets returned or discarded as too long, line ends included, without those that `clear` discarded."""
        self._data = b""
        self._start = 0  # offset of the next line: removing the front would copy the rest for each line
        self._searched = 0  # no LF before this offset
        self._overflowing = False  # the front of the current line was discarded

    def __len__(self) -> int:
        return len(self._data) - self._start

    @property
    def draining(self) -> bool:
        """Whether the octets that follow are discarded, as the rest of an over-long line."""
        return self._overflowing

    def feed(self, data: bytes) -> None:
        """Append received octets to the buffer."""
        self._data = self._data[self._start :] + data
        self._searched -= self._start
        self._start = 0

    def next_line(self, max_line: int | None = None) -> Line | None:
        """Return the next line, or None until its end is received. `max_line` overrides the limit for this call."""
        limit = self.max_line if max_line is None else max_line
        start = self._start
        end = self._data.find(b"\n", self._searched) + 1
        if not end:
            self._await_end(limit)
            return None
        self._advance(end)
        if end - start > limit or self._overflowing:
            self._overflowing = False
            return Line(b"", LineFault.TOO_LONG)
        return parse_line(self._data[start:end])

    def _await_end(self, limit: int) -> None:
        self._data = self._data[self._start :]  # frees returned lines while the connection is idle
        self._start, self._searched = 0, len(self._data)
        if len(self._data) >= limit:  # the line is too long even if the next octet is LF
            self._overflowing = True
            self._advance(len(self._data))

    def _advance(self, end: int) -> None:
        self.consumed += end - self._start
        self._start = self._searched = end

    def take(self, limit: int) -> bytes:
        """Return and remove up to `limit` buffered octets, regardless of line ends."""
        octets = self._data[self._start : self._start + limit]
        self._advance(self._start + len(octets))
        return octets

    def put_back(self, count: int) -> None:
        """Put the last `count` octets that `take` returned back into the buffer: they belong to the next command."""
        self._advance(self._start - count)

    def clear(self) -> int:
        """Discard the buffer; returns the number of octets discarded."""
        dropped = len(self)
        self._data = b""
        self._start = self._searched = 0
        self._overflowing = False
        return dropped


def parse_line(octets: bytes) -> Line:
    """Strip the line end and detect faults; of several faults the first in order of `LineFault`."""
    line = octets.removesuffix(b"\r\n")
    if len(line) == len(octets):
        return Line(octets[:-1], LineFault.BARE_LF)
    if CR in line:
        return Line(line, LineFault.BARE_CR)
    if NUL in line:
        return Line(line, LineFault.NUL)
    return Line(line)


class LineMode(Enum):
    """The kind of the next line of a `LineFramer`."""

    COMMAND = auto()
    RESPONSE = auto()
    """A SASL response (RFC 4422 §3.3)."""


class LineFramer(LineBuffer):
    """The framer of a protocol that consists of lines only: a `ports.Framer[Line]`."""

    def __init__(self, max_line: int, max_response: int = MAX_RESPONSE_OCTETS) -> None:
        super().__init__(max_line)
        self.max_response = max_response
        self._mode: Enum = LineMode.COMMAND

    def next_frame(self) -> Line | None:
        """Return the next line, within the limit of the mode; after a response the mode is COMMAND again."""
        line = self.next_line(self.max_response if self._mode is LineMode.RESPONSE else None)
        if line is not None:
            self._mode = LineMode.COMMAND
        return line

    def expect(self, mode: Enum) -> None:
        """Set the kind of the next line."""
        self._mode = mode

    def clear(self) -> int:
        """Discard the buffer, and expect a command."""
        self._mode = LineMode.COMMAND
        return super().clear()
