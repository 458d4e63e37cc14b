"""Octets in, frames out: commands with their literals, SASL responses, the end of IDLE (RFC 9051 §2.2, §4.3).

All size limits are here. What a command announces must go, whatever becomes of the command: were the octets of a
refused literal taken for commands, whoever wrote a message could give orders. So they are thrown away as they come,
and the fault is told at the command's end. Each octet is copied a fixed number of times, however the network cuts them.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

from relate_wire.content_budget import ContentBudget, HeldContent
from relate_wire.lines import CR, MAX_RESPONSE_OCTETS, NUL
from relate_wire.ports import Prompt

# Octets of a command without its literals: a hundred thousand UIDs of nine digits fit. Clients keep to 8000 and fewer
# (RFC 7162 §4), but some name each message of a folder that they want to copy.
MAX_TEXT = 1_048_576
# Who has not logged in needs no more than AUTHENTICATE with its initial response, or ID with all that RFC 2971 §3.3
# allows: 30 fields of 30 octets with values of 1024, and a backslash before any of them.
MAX_TEXT_BEFORE_LOGIN = 65_536
# Octets of all literals of a command that are no messages: names, and texts to search for.
MAX_STRINGS = 65_536
# A login and a password, or the fields of ID.
MAX_STRINGS_BEFORE_LOGIN = 32_768
# Messages of a MULTIAPPEND, strings of a SEARCH: each costs more than its octets.
MAX_LITERALS = 1000

# Octets that are kept of a command with a fault: its tag and verb are in them.
HEAD = 256
# Octets that are kept of the end of an over-long line: an announcement fits.
TAIL = 32

PROMPT = Prompt(b"+ Ready for the literal\r\n")

_CRLF = b"\r\n"
_BRACE = 0x7D  # "}"
# No client has more than 2^63 octets, and who announces them anyway is drained until it tires.
_ANNOUNCEMENT = re.compile(rb"\{(?P<size>[0-9]{1,19})(?P<plus>\+?)\}")
_MISSHAPEN = re.compile(rb"\{[-+.0-9 ]*\}")  # and not `LOGIN "{" b}`, where the brace ends an atom
# A tag that is longer than the grammar allows is looked at no further: it would be again for each literal behind it.
_TAKES_MESSAGES = re.compile(rb"[^ ]{1,128} (?:APPEND|(?:UID )?REPLACE) ", re.IGNORECASE)


class Mode(Enum):
    """What the next frame is."""

    COMMAND = auto()
    RESPONSE = auto()
    """A SASL response (RFC 9051 §6.2.2)."""
    IDLE = auto()
    """The line that ends IDLE (RFC 9051 §6.3.13)."""


class Fault(Enum):
    """Why a frame means nothing. A line that ends in a bare LF is forgiven: people type IMAP by hand."""

    TOO_LONG = auto()
    TOO_LARGE = auto()
    """A literal is larger than may be."""
    TOO_MANY = auto()
    """There are more literals than may be."""
    BAD_LITERAL = auto()
    """What looks like a literal's announcement is none."""
    DROPPED = auto()
    """There was no memory to hold the literals (`relate_wire.content_budget`)."""
    BARE_CR = auto()
    NUL = auto()


class Frame(NamedTuple):
    """A command, or a line within one. `text` is its lines without the last line end.

    Each `{n}`, `{n+}` and `~{n}` with CRLF behind it stands for the next of `literals`. With a fault, only the first
    octets of the text are there, and no literals.
    """

    text: bytes
    literals: tuple[bytes, ...] = ()
    fault: Fault | None = None


class Assembly:
    """A command of which not everything has come. Its literals are kept in `held`."""

    __slots__ = ("announced", "fault", "held", "line", "literals", "missing", "text")

    def __init__(self, held: HeldContent) -> None:
        self.text = bytearray()  # whole lines
        self.line = bytearray()  # of the line at hand
        self.held = held
        self.literals = 0
        self.announced = 0  # octets of all literals
        self.missing = 0  # octets of the literal at hand
        self.fault: Fault | None = None

    def fail(self, fault: Fault, line: bytes | bytearray) -> None:
        """Keep no more than what tells whose fault it was. The first fault counts."""
        if self.fault is None:
            self.fault = fault
            self.text = (self.text + line[:HEAD])[:HEAD]
            self.held.release()

    def take(self, octets: bytes) -> None:
        """A piece of the literal at hand."""
        self.missing -= len(octets)
        if self.fault is None:
            self.held.write(octets)
            if self.held.dropped:
                self.fail(Fault.DROPPED, b"")
            elif not self.missing:
                self.literals += 1
                self.held.end_piece()

    def frame(self, line: bytes) -> Frame:
        """The whole command, of which this line is the last."""
        if self.held.dropped:  # between two literals
            self.fail(Fault.DROPPED, b"")
        if self.fault is not None:
            return Frame(bytes(self.text), (), self.fault)
        return Frame(bytes(self.text + line), self.held.take())


class ImapFramer:
    """A `dialogue.Framer[Frame]`. Before `allow` only what a login needs is taken.

    Literals are kept in `held`, by default in a budget of its own; it is released when their command is answered.
    """

    def __init__(self, held: HeldContent | None = None) -> None:
        self.consumed = 0
        """Octets handed out in frames, line ends and what was drained included."""
        self._max_text = MAX_TEXT_BEFORE_LOGIN
        self._max_strings = MAX_STRINGS_BEFORE_LOGIN
        self._max_message = 0
        self._mode: Enum = Mode.COMMAND
        self._data = b""
        self._start = 0  # where in _data the next line begins
        self._before = 0  # octets that came before _data
        self._held = held if held is not None else ContentBudget.unlimited().hold("")
        self._command = Assembly(self._held)

    def allow(self, max_literal: int) -> None:
        """The client has logged in: long lines, and messages of so many octets."""
        self._max_text, self._max_strings, self._max_message = MAX_TEXT, MAX_STRINGS, max_literal

    def expect(self, mode: Enum) -> None:
        """Say what the next frame is."""
        self._mode = mode

    def feed(self, data: bytes) -> None:
        """Take octets as they came."""
        self._before += self._start
        self._data = self._data[self._start :] + data
        self._start = 0

    def next_frame(self) -> Frame | Prompt | None:
        """The next frame, or the prompt that a literal waits for; after a response come commands again."""
        while not self._command.missing or self._take_literal():
            start = self._start
            end = self._data.find(b"\n", start) + 1
            if not end:
                self._keep(self._data[start:])
                return None
            self._start = end
            result = self._end_line(self._data[start:end])
            if result is not None:
                return result
        return None

    def clear(self) -> int:
        """Forget everything that was fed and not handed out; how many octets that was."""
        dropped = self._before + len(self._data) - self.consumed
        self._before, self._data, self._start = self.consumed, b"", 0
        self._held.release()
        self._command, self._mode = Assembly(self._held), Mode.COMMAND
        return dropped

    @property
    def draining(self) -> bool:
        """Whether what comes next is thrown away: the rest of a command that has a fault."""
        return self._command.fault is not None

    def __len__(self) -> int:
        command = self._command
        return len(self._data) - self._start + len(command.text) + len(command.line) + len(self._held)

    def _take_literal(self) -> bool:
        """Take what has come of the literal at hand: whether that is all of it."""
        octets = self._data[self._start : self._start + self._command.missing]
        self._start += len(octets)
        self._command.take(octets)
        if self._command.missing:
            self._drop_data()
        return not self._command.missing

    def _drop_data(self) -> None:
        self._before += len(self._data)
        self._data, self._start = b"", 0

    def _keep(self, octets: bytes) -> None:
        """The beginning of a line; where the command has a fault, no more than may turn out to be an announcement."""
        self._drop_data()
        command = self._command
        command.line += octets
        if len(command.text) + len(command.line) > self._limit:
            command.fail(Fault.TOO_LONG, command.line)
        if command.fault is not None:
            del command.line[:-TAIL]

    @property
    def _limit(self) -> int:
        return self._max_text if self._mode is Mode.COMMAND else MAX_RESPONSE_OCTETS

    def _end_line(self, line: bytes) -> Frame | Prompt | None:
        command = self._command
        if command.line:
            line = bytes(command.line + line)
            command.line.clear()
        text = line[:-2] if line.endswith(_CRLF) else line[:-1]
        if len(command.text) + len(line) > self._limit:
            command.fail(Fault.TOO_LONG, text)
        elif CR in text:
            command.fail(Fault.BARE_CR, text)
        elif NUL in text:
            command.fail(Fault.NUL, text)
        if text and text[-1] == _BRACE and self._mode is Mode.COMMAND:
            return self._announce(text)
        return self._finish(text)

    def _finish(self, text: bytes) -> Frame:
        self.consumed = self._before + self._start
        self._mode = Mode.COMMAND
        command = self._command
        if not command.text and command.fault is None:
            return Frame(text)
        self._command = Assembly(self._held)
        return command.frame(text)

    def _announce(self, text: bytes) -> Frame | Prompt | None:
        """A line that ends in a literal's announcement. Only one that can still become a command is prompted for."""
        command = self._command
        brace = max(text.rfind(b"{", -TAIL), 0)
        announcement = _ANNOUNCEMENT.fullmatch(text, brace)
        if announcement is None:
            if _MISSHAPEN.fullmatch(text, brace):
                command.fail(Fault.BAD_LITERAL, text)
            return self._finish(text)
        size, waits = int(announcement["size"]), not announcement["plus"]
        self._check(size, text)
        if command.fault is not None and waits:
            return self._finish(text)
        if command.fault is None:
            command.text += text + _CRLF
            command.announced += size
        command.missing = size
        if not size:
            command.take(b"")
        return PROMPT if waits else None

    def _check(self, size: int, text: bytes) -> None:
        command = self._command
        most = self._max_strings
        if self._max_message and size <= self._max_message and _TAKES_MESSAGES.match(command.text or text):
            most += self._max_message  # in all: a command is in memory as a whole
        if command.announced + size > most:
            command.fail(Fault.TOO_LARGE, text)
        elif command.literals >= MAX_LITERALS:
            command.fail(Fault.TOO_MANY, text)
        elif command.held.dropped:
            command.fail(Fault.DROPPED, text)
