"""SMTP's framing: command lines, SASL responses, the content after DATA, the chunks of BDAT.

All size limits are enforced here except for one: the session adds up the chunk sizes of a message. BDAT lines are
parsed here, because the octets that follow one must be consumed even if the command is refused: a chunk that the
session does not request is discarded. The chunks of a message are collected here up to the last one, so that the
message is in memory only once.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.dots import DotDecoder, LineEndScanner
from relate_wire.lines import MAX_RESPONSE_OCTETS, Line, LineBuffer, LineFault

# RFC 5321 §4.5.3.1.4: 512 octets, plus those of extensions: AUTH 500, ENVID 107, SIZE 26, … or ORCPT 500, NOTIFY 28.
MAX_COMMAND_OCTETS = 2048

# At most 20 digits, as in RFC 1870 §3.
_BDAT = re.compile(rb"BDAT +(?P<size>[0-9]{1,20})(?P<last> +LAST)? *", re.IGNORECASE)


class Mode(Enum):
    """The kind of the next frame."""

    COMMAND = auto()
    RESPONSE = auto()
    """A SASL response (RFC 4954 §4)."""
    CONTENT = auto()
    """A whole message, up to the final dot (RFC 5321 §4.1.1.4)."""
    CHUNK = auto()
    """The chunk that the last BDAT line announced (RFC 3030 §2)."""


class ContentFrame(NamedTuple):
    """The content of a message; empty for a chunk that is not the last, and for content that is too long.

    Bare line ends are faults, NUL is none. `dropped` means that the memory budget did not suffice for the content.
    """

    octets: bytes
    fault: LineFault | None = None
    dropped: bool = False


DROPPED = ContentFrame(b"", dropped=True)

Frame = Line | ContentFrame


class SmtpFramer(LineBuffer):
    """A `relate_wire.ports.Framer[Frame]`. `max_content` is in octets, without stuffed dots.

    Content is buffered in `held`, by default without a budget; it is released at the end of the mail transaction.
    """

    def __init__(self, max_content: int, held: HeldContent | None = None) -> None:
        super().__init__(MAX_RESPONSE_OCTETS)
        self.max_content = max_content
        self._held = held if held is not None else ContentBudget.unlimited().hold("")
        self._decoder = DotDecoder(max_content, self._held)
        self._line_ends = LineEndScanner()  # of a message sent in chunks
        self._announced = 0  # octets of the current chunk that have not been received
        self._is_last = False  # of the current chunk
        self._read: Reader = SmtpFramer._next_command

    def expect(self, mode: Enum) -> None:
        """Set the kind of the next frame."""
        self._read = READERS[mode]

    def next_frame(self) -> Frame | None:
        """The next frame of the expected kind. A command is expected after it."""
        frame = self._read(self)
        if frame is not None:
            self._read = SmtpFramer._next_command
        return frame

    def clear(self) -> int:
        """Discard all input, and expect a command. Returns the number of octets discarded."""
        dropped = super().clear()
        self._held.release()
        self._decoder, self._announced = DotDecoder(self.max_content, self._held), 0
        self._read = SmtpFramer._next_command
        return dropped

    def _next_command(self) -> Line | None:
        if self._announced:
            self._take_announced()  # the session did not request this chunk
            if self._announced:
                return None
        line = self.next_line()
        if line is None:
            return None
        if len(line.octets) > MAX_COMMAND_OCTETS - 2 and line.octets[:5].upper() != b"AUTH ":
            return Line(b"", LineFault.TOO_LONG)
        announced = read_bdat(line)
        if announced is not None:
            self._announced, self._is_last = announced
        return line

    def _next_response(self) -> Line | None:
        return self.next_line()

    def _next_content(self) -> ContentFrame | None:
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
            return ContentFrame(b"", LineFault.TOO_LONG)
        return self._take_content(decoder.fault)

    def _next_chunk(self) -> ContentFrame | None:
        if len(self._held) == 0:
            self._line_ends = LineEndScanner()
        octets = self._take_announced()
        self._line_ends.feed(octets)
        self._held.write(octets)
        if self._announced:
            return None
        if self._is_last or self._held.dropped:
            return self._take_content(self._line_ends.finish())
        return ContentFrame(b"")

    def _take_content(self, fault: LineFault | None) -> ContentFrame:
        if self._held.dropped:
            return DROPPED
        return ContentFrame(self._held.take_one(), fault)

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


def read_bdat(line: Frame) -> tuple[int, bool] | None:
    """The chunk size of a BDAT line, and whether it has LAST; None for any other line (RFC 3030 §2)."""
    match = _BDAT.fullmatch(line.octets) if line.fault is None else None
    return None if match is None else (int(match["size"]), match["last"] is not None)
