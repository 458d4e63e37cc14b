"""Octets in, frames out: command lines, SASL responses, the content after DATA, the chunks of BDAT.

All size limits are here but one: what the chunks of a message come to, the session adds up. BDAT lines are understood
here, because the octets that one announces must go, whatever becomes of the command: a chunk is kept only when the
session asks for it, and is otherwise thrown away as it comes. Chunks are gathered here until the last one, so that a
message is in memory once.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.dots import DotDecoder, LineEndScanner
from relate_wire.lines import MAX_RESPONSE_OCTETS, Line, LineBuffer, LineFault

# RFC 5321 §4.5.3.1.4 has 512 octets, and extensions add: AUTH 500, ENVID 107, SIZE 26, … or ORCPT 500 and NOTIFY 28.
MAX_COMMAND = 2048

# A size of 20 digits (RFC 1870 §3 has as many) is past anything that ends in our lifetime.
_BDAT = re.compile(rb"BDAT +(?P<size>[0-9]{1,20})(?P<last> +LAST)? *", re.IGNORECASE)


class Mode(Enum):
    """What the next frame is."""

    COMMAND = auto()
    RESPONSE = auto()
    """A SASL response (RFC 4954 §4)."""
    CONTENT = auto()
    """All of a message, up to its final dot (RFC 5321 §4.1.1.4)."""
    CHUNK = auto()
    """What the BDAT line at hand announced (RFC 3030 §2)."""


class Content(NamedTuple):
    """A message; empty for a chunk that is not the last. Too long (`LineFault.TOO_LONG`), it has lost its octets. Bare
    line ends are faults of a text; a NUL is no fault of content. `dropped` says that there was no memory to hold it.
    """

    octets: bytes
    fault: LineFault | None = None
    dropped: bool = False


DROPPED = Content(b"", dropped=True)

Frame = Line | Content


class SmtpFramer(LineBuffer):
    """A `dialogue.Framer[Frame]`; `max_content` is in octets of content, without the dots that were stuffed.

    Content is kept in `held`, by default in a budget of its own; it is released when the mail transaction is over.
    """

    def __init__(self, max_content: int, held: HeldContent | None = None) -> None:
        super().__init__(MAX_RESPONSE_OCTETS)
        self.max_content = max_content
        self._held = held if held is not None else ContentBudget.unlimited().hold("")
        self._decoder = DotDecoder(max_content, self._held)
        self._line_ends = LineEndScanner()  # of the message that comes in chunks
        self._announced = 0  # octets of the chunk at hand that have not come yet
        self._is_last = False  # chunk
        self._read: Reader = SmtpFramer._next_command

    def expect(self, mode: Enum) -> None:
        """Say what the next frame is."""
        self._read = READERS[mode]

    def next_frame(self) -> Frame | None:
        """The next frame of the mode expected; after it come commands again."""
        frame = self._read(self)
        if frame is not None:
            self._read = SmtpFramer._next_command
        return frame

    def clear(self) -> int:
        """Forget everything that was fed, announced and expected."""
        dropped = super().clear()
        self._held.release()
        self._decoder, self._announced = DotDecoder(self.max_content, self._held), 0
        self._read = SmtpFramer._next_command
        return dropped

    def _next_command(self) -> Line | None:
        if self._announced:
            self._take_announced()  # the session did not ask for this chunk
            if self._announced:
                return None
        line = self.next_line()
        if line is None:
            return None
        if len(line.octets) > MAX_COMMAND - 2 and line.octets[:5].upper() != b"AUTH ":
            return Line(b"", LineFault.TOO_LONG)
        announced = read_bdat(line)
        if announced is not None:
            self._announced, self._is_last = announced
        return line

    def _next_response(self) -> Line | None:
        return self.next_line()

    def _next_content(self) -> Content | None:
        octets = self.take(len(self))
        if not octets:
            return None
        decoder = self._decoder
        used = decoder.feed(octets)
        if not decoder.done:
            return None
        self.put_back(len(octets) - used)
        self._decoder = DotDecoder(self.max_content, self._held)
        if decoder.too_large:
            return Content(b"", LineFault.TOO_LONG)
        return self._take_content(decoder.fault)

    def _next_chunk(self) -> Content | None:
        if len(self._held) == 0:
            self._line_ends = LineEndScanner()
        octets = self._take_announced()
        self._line_ends.feed(octets)
        self._held.write(octets)
        if self._announced:
            return None
        if self._is_last or self._held.dropped:
            return self._take_content(self._line_ends.finish())
        return Content(b"")

    def _take_content(self, fault: LineFault | None) -> Content:
        if self._held.dropped:
            return DROPPED
        return Content(self._held.take_one(), fault)

    def _take_announced(self) -> bytes:
        octets = self.take(self._announced)
        self._announced -= len(octets)
        return octets


Reader = Callable[[SmtpFramer], Frame | None]

READERS: Mapping[Enum, Reader] = {
    Mode.COMMAND: SmtpFramer._next_command,
    Mode.RESPONSE: SmtpFramer._next_response,
    Mode.CONTENT: SmtpFramer._next_content,
    Mode.CHUNK: SmtpFramer._next_chunk,
}


def read_bdat(line: Line | Content) -> tuple[int, bool] | None:
    """The octets that a BDAT line announces, and whether they are the last; None for any other line (RFC 3030 §2)."""
    match = _BDAT.fullmatch(line.octets) if line.fault is None else None
    return None if match is None else (int(match["size"]), match["last"] is not None)
