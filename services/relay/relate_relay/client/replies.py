"""The replies of an SMTP server: octets → replies (RFC 5321 §4.2, RFC 2034, RFC 3463).

A reply that is malformed or too long is an exception, because what follows it cannot be assigned to a command. Overlong
lines are cut, and lines beyond the limit are dropped: a reply is stored, logged and quoted in a report.
"""

import re
from dataclasses import dataclass
from enum import Enum

from relate_mime.printable import printable

# RFC 5321 §4.5.3.1.5 allows 512 octets with code and CRLF. Longer lines are cut to this.
MAX_LINE_OCTETS = 512
MAX_LINES = 128
MAX_REPLY_OCTETS = 64 * 1024
"""The longest reply, line ends included."""
MAX_TEXT_CHARACTERS = 1024
"""The longest `ServerReply.text`."""

_CODE = re.compile(rb"(?P<code>[0-9]{3})(?:(?P<separator>[ -])|\Z)")
# RFC 2034 §4. It is part of the text of a line.
_ENHANCED = re.compile(r"(?P<enhanced>(?P<class>[245])\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")


class Violation(Enum):
    """How a server violates the protocol; the value is the sentence for logs and reports."""

    NO_CODE = "a line of the reply does not begin with a code"
    CODE_OUT_OF_RANGE = "the reply code is not between 200 and 599"
    CODE_CHANGED = "the lines of the reply have different codes"
    NUL = "the reply contains NUL"
    TOO_LONG = f"the reply is longer than {MAX_REPLY_OCTETS:,} octets"
    UNEXPECTED_CODE = "the reply code does not belong to the command"
    UNREQUESTED = "the server sent a reply without a command"


class ReplyFault(Exception):
    """A malformed or overlong reply. The parser must not be used any more."""

    def __init__(self, reason: Violation) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A reply: its code, the enhanced code (empty without one), and the text of each line, without the code.

    A line has at most MAX_LINE_OCTETS, of octets that may be any but CR, LF and NUL. There are at most MAX_LINES.
    """

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines in one line of at most MAX_TEXT_CHARACTERS, in which control characters are escaped."""
        text = printable(" ".join(self.lines))
        return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[: MAX_TEXT_CHARACTERS - 1]}…"

    @property
    def is_positive(self) -> bool:
        """Whether the command succeeded: 2yz (RFC 5321 §4.2.1). Unknown codes are classified by their first digit."""
        return self.code // 100 == 2

    @property
    def is_intermediate(self) -> bool:
        """Whether the server waits for more: 3yz."""
        return self.code // 100 == 3

    @property
    def is_temporary(self) -> bool:
        """Whether the command was refused temporarily: 4yz."""
        return self.code // 100 == 4

    @property
    def is_permanent(self) -> bool:
        """Whether the command was refused permanently: 5yz."""
        return self.code // 100 == 5

    @property
    def is_closing(self) -> bool:
        """Whether the server closes the connection, whatever the command was (RFC 5321 §3.8)."""
        return self.code == 421

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


class ReplyParser:
    """Parses the stream of a server's replies. Time is linear in the octets, and memory is bounded by MAX_REPLY_OCTETS.

    A bare LF is accepted as the end of a line. Feed it after `next_reply` returned None.
    """

    def __init__(self) -> None:
        self._data = b""
        self._start = 0  # of the next line: removing the front would copy the rest for each line
        self._line = bytearray()  # the front of a line whose end has not been received
        self._octets = 0  # of the reply so far
        self._code = 0  # of the reply so far, 0 before its first line
        self._lines: list[str] = []

    @property
    def has_input(self) -> bool:
        """Whether octets were fed that no reply has consumed."""
        return self._octets > 0 or self._start < len(self._data)

    def feed(self, octets: bytes) -> None:
        """Append received octets."""
        self._data = self._data[self._start :] + octets
        self._start = 0

    def next_reply(self) -> ServerReply | None:
        """Return the next reply, or None until its end is received. Raises ReplyFault."""
        while (line := self._next_line()) is not None:
            if (reply := self._accept(line)) is not None:
                return reply
        return None

    def _next_line(self) -> bytes | None:
        end = self._data.find(b"\n", self._start) + 1
        piece = self._data[self._start : end or len(self._data)]
        self._start += len(piece)
        self._octets += len(piece)
        if self._octets > MAX_REPLY_OCTETS:
            raise ReplyFault(Violation.TOO_LONG)
        if b"\0" in piece:
            raise ReplyFault(Violation.NUL)
        self._line += piece[: MAX_LINE_OCTETS - len(self._line)]
        if not end:
            return None
        line = bytes(self._line).rstrip(b"\r\n")
        self._line.clear()
        return line

    def _accept(self, line: bytes) -> ServerReply | None:
        match = _CODE.match(line)
        if match is None:
            raise ReplyFault(Violation.NO_CODE)
        code = int(match["code"])
        if not 200 <= code <= 599:
            raise ReplyFault(Violation.CODE_OUT_OF_RANGE)
        if self._code not in (0, code):
            raise ReplyFault(Violation.CODE_CHANGED)
        self._code = code
        if len(self._lines) < MAX_LINES:
            self._lines.append(line[match.end() :].decode("utf-8", "replace"))
        if match["separator"] == b"-":
            return None
        reply = ServerReply(code, enhanced_code(code, self._lines[0]), tuple(self._lines))
        self._octets = self._code = 0
        self._lines.clear()
        return reply


def enhanced_code(code: int, line: str) -> str:
    """Return the enhanced code of a line; empty without one, or if its class contradicts the code (RFC 2034 §4)."""
    match = _ENHANCED.match(line)
    return match["enhanced"] if match is not None and int(match["class"]) == code // 100 else ""
