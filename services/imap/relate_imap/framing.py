"""Splits octets into frames: commands with their literals, SASL responses, the end of IDLE (RFC 9051 §2.2, §4.3).

All size limits are here. The octets of a refused literal are discarded as they arrive and the fault is reported at the
end of the command: if they were parsed as commands, the author of a message could inject commands. Each octet is copied
a fixed number of times, regardless of how the network splits the stream.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.lines import CR, MAX_RESPONSE_OCTETS, NUL
from relate_wire.ports import Prompt

# Of a command without its literals: a hundred thousand UIDs of nine digits fit. Clients are advised to stay below 8000
# octets (RFC 7162 §4), but some name each message of a folder in one COPY.
MAX_TEXT_OCTETS = 1_048_576
# Before login the longest commands are AUTHENTICATE with an initial response, and ID with all that RFC 2971 §3.3
# allows: 30 fields of 30 octets with values of 1024, a backslash before any of them.
MAX_TEXT_BEFORE_LOGIN_OCTETS = 65_536
# Of all literals of a command that are not messages: mailbox names and search texts.
MAX_STRINGS_OCTETS = 65_536
# A login and a password, or the fields of ID.
MAX_STRINGS_BEFORE_LOGIN_OCTETS = 32_768
# Messages of a MULTIAPPEND, strings of a SEARCH: each costs more memory than its octets.
MAX_LITERALS = 1000

# Of a command with a fault, only its beginning is buffered; it includes the tag and verb.
FAULT_TEXT_OCTETS = 256
# Of an over-long line, only the end is buffered; a literal announcement fits.
ANNOUNCEMENT_OCTETS = 32

PROMPT = Prompt(b"+ Ready for the literal\r\n")

_CRLF = b"\r\n"
_BRACE = ord("}")
# 2^63 has 19 digits; the octets of a literal beyond the limit are discarded for as long as they arrive.
_ANNOUNCEMENT = re.compile(rb"\{(?P<size>[0-9]{1,19})(?P<plus>\+?)\}")
_MALFORMED_ANNOUNCEMENT = re.compile(rb"\{[-+.0-9 ]*\}")  # does not match `LOGIN "{" b}`, where the brace ends an atom
# A tag that is longer than the grammar allows does not match, because it would be scanned again for each literal.
_APPENDS = re.compile(rb"[^ ]{1,128} (?:APPEND|(?:UID )?REPLACE) ", re.IGNORECASE)


class Mode(Enum):
    """The kind of the next frame."""

    COMMAND = auto()
    RESPONSE = auto()
    """A SASL response (RFC 9051 §6.2.2)."""
    IDLE = auto()
    """The line that ends IDLE (RFC 9051 §6.3.13)."""


class Fault(Enum):
    """Why a frame is invalid. A line that ends in a bare LF is accepted, because people type IMAP by hand."""

    TOO_LONG = auto()
    TOO_LARGE = auto()
    """A literal exceeds its limit."""
    TOO_MANY = auto()
    """Too many literals."""
    BAD_LITERAL = auto()
    """A malformed literal announcement."""
    DROPPED = auto()
    """The memory budget for literals was exhausted (`relate_wire.content_budget`)."""
    BARE_CR = auto()
    NUL = auto()


class Frame(NamedTuple):
    """A command, or a line within one. `text` is its lines without the last line end.

    Each `{n}`, `{n+}` and `~{n}` followed by CRLF stands for the next of `literals`. With a fault, `text` is cut to its
    first octets and there are no literals.
    """

    text: bytes
    literals: tuple[bytes, ...] = ()
    fault: Fault | None = None


class PartialCommand:
    """A command that has not arrived completely. Its literals are buffered in `content`."""

    __slots__ = ("announced", "content", "fault", "line", "literals", "remaining", "text")

    def __init__(self, content: HeldContent) -> None:
        self.text = bytearray()  # complete lines
        self.line = bytearray()  # the current line
        self.content = content
        self.literals = 0
        self.announced = 0  # octets of all literals
        self.remaining = 0  # octets of the current literal
        self.fault: Fault | None = None

    def fail(self, fault: Fault, line: bytes | bytearray) -> None:
        """Record the first fault, and drop everything but the first octets of the text."""
        if self.fault is None:
            self.fault = fault
            self.text = (self.text + line[:FAULT_TEXT_OCTETS])[:FAULT_TEXT_OCTETS]
            self.content.release()

    def add_literal(self, octets: bytes) -> None:
        """Add octets of the current literal."""
        self.remaining -= len(octets)
        if self.fault is None:
            self.content.write(octets)
            if self.content.dropped:
                self.fail(Fault.DROPPED, b"")
            elif not self.remaining:
                self.literals += 1
                self.content.end_piece()

    def frame(self, line: bytes) -> Frame:
        """The complete frame; `line` is the command's last line."""
        if self.content.dropped:  # between two literals
            self.fail(Fault.DROPPED, b"")
        if self.fault is not None:
            return Frame(bytes(self.text), (), self.fault)
        return Frame(bytes(self.text + line), self.content.take())


class ImapFramer:
    """A `relate_wire.ports.Framer[Frame]`. Until `allow`, limits are those of a client before login.

    Literals are buffered in `content`, by default in an unlimited budget; the driver releases it after the command.
    """

    def __init__(self, content: HeldContent | None = None) -> None:
        self.consumed = 0
        """Octets returned in frames, line ends and discarded octets included."""
        self._max_text_octets = MAX_TEXT_BEFORE_LOGIN_OCTETS
        self._max_strings_octets = MAX_STRINGS_BEFORE_LOGIN_OCTETS
        self._max_message_octets = 0
        self._mode: Enum = Mode.COMMAND
        self._data = b""
        self._start = 0  # start of the next line in _data
        self._data_offset = 0  # octets that came before _data
        self._content = content if content is not None else ContentBudget.unlimited().hold("")
        self._command = PartialCommand(self._content)

    def allow(self, max_message_octets: int) -> None:
        """Apply the limits of a logged-in client; `max_message_octets` limits a message."""
        self._max_text_octets = MAX_TEXT_OCTETS
        self._max_strings_octets = MAX_STRINGS_OCTETS
        self._max_message_octets = max_message_octets

    def expect(self, mode: Enum) -> None:
        """Set the kind of the next frame."""
        self._mode = mode

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._data_offset += self._start
        self._data = self._data[self._start :] + data
        self._start = 0

    def next_frame(self) -> Frame | Prompt | None:
        """The next frame, or the prompt for a literal; None if incomplete. After a response, commands follow."""
        while not self._command.remaining or self._take_literal():
            start = self._start
            end = self._data.find(b"\n", start) + 1
            if not end:
                self._buffer_line(self._data[start:])
                return None
            self._start = end
            result = self._end_line(self._data[start:end])
            if result is not None:
                return result
        return None

    def clear(self) -> int:
        """Discard all buffered octets; returns their number."""
        dropped = self._data_offset + len(self._data) - self.consumed
        self._data_offset, self._data, self._start = self.consumed, b"", 0
        self._content.release()
        self._command, self._mode = PartialCommand(self._content), Mode.COMMAND
        return dropped

    @property
    def draining(self) -> bool:
        """Whether incoming octets are discarded, because the current command has a fault."""
        return self._command.fault is not None

    def __len__(self) -> int:
        command = self._command
        return len(self._data) - self._start + len(command.text) + len(command.line) + len(self._content)

    def _take_literal(self) -> bool:
        """Consume buffered octets of the current literal; returns whether it is complete."""
        octets = self._data[self._start : self._start + self._command.remaining]
        self._start += len(octets)
        self._command.add_literal(octets)
        if self._command.remaining:
            self._drop_data()
        return not self._command.remaining

    def _drop_data(self) -> None:
        self._data_offset += len(self._data)
        self._data, self._start = b"", 0

    def _buffer_line(self, octets: bytes) -> None:
        """Buffer an incomplete line; of a command with a fault, only as much as an announcement needs."""
        self._drop_data()
        command = self._command
        command.line += octets
        if len(command.text) + len(command.line) > self._text_limit_octets:
            command.fail(Fault.TOO_LONG, command.line)
        if command.fault is not None:
            del command.line[:-ANNOUNCEMENT_OCTETS]

    @property
    def _text_limit_octets(self) -> int:
        return self._max_text_octets if self._mode is Mode.COMMAND else MAX_RESPONSE_OCTETS

    def _end_line(self, line: bytes) -> Frame | Prompt | None:
        command = self._command
        if command.line:
            line = bytes(command.line + line)
            command.line.clear()
        text = line[:-2] if line.endswith(_CRLF) else line[:-1]
        if len(command.text) + len(line) > self._text_limit_octets:
            command.fail(Fault.TOO_LONG, text)
        elif CR in text:
            command.fail(Fault.BARE_CR, text)
        elif NUL in text:
            command.fail(Fault.NUL, text)
        if text and text[-1] == _BRACE and self._mode is Mode.COMMAND:
            return self._announce(text)
        return self._finish(text)

    def _finish(self, text: bytes) -> Frame:
        self.consumed = self._data_offset + self._start
        self._mode = Mode.COMMAND
        command = self._command
        if not command.text and command.fault is None:
            return Frame(text)
        self._command = PartialCommand(self._content)
        return command.frame(text)

    def _announce(self, text: bytes) -> Frame | Prompt | None:
        """Handle a line that ends in a literal announcement. A command with a fault is not prompted for."""
        command = self._command
        brace = max(text.rfind(b"{", -ANNOUNCEMENT_OCTETS), 0)
        announcement = _ANNOUNCEMENT.fullmatch(text, brace)
        if announcement is None:
            if _MALFORMED_ANNOUNCEMENT.fullmatch(text, brace):
                command.fail(Fault.BAD_LITERAL, text)
            return self._finish(text)
        size, synchronizing = int(announcement["size"]), not announcement["plus"]
        self._check(size, text)
        if command.fault is not None and synchronizing:
            return self._finish(text)
        if command.fault is None:
            command.text += text + _CRLF
            command.announced += size
        command.remaining = size
        if not size:
            command.add_literal(b"")
        return PROMPT if synchronizing else None

    def _check(self, size: int, text: bytes) -> None:
        command = self._command
        limit = self._max_strings_octets
        if self._max_message_octets and size <= self._max_message_octets and _APPENDS.match(command.text or text):
            limit += self._max_message_octets  # in total, because a command is in memory as a whole
        if command.announced + size > limit:
            command.fail(Fault.TOO_LARGE, text)
        elif command.literals >= MAX_LITERALS:
            command.fail(Fault.TOO_MANY, text)
        elif command.content.dropped:
            command.fail(Fault.DROPPED, text)
