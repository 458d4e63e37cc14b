"""POP3's commands: a line is parsed into a frozen value (RFC 1939 §9, 2449 §3, 2595 §4, 5034 §4, 6856).

`parse` never raises: a malformed line is a value too, `Invalid`. Passwords are wrapped in `Secret` as soon as they are
cut from the line. Whether a command is allowed, and whether its message exists, is not checked here.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from relate_wire.lines import Line, LineFault
from relate_wire.secret import Secret

UNKNOWN = "UNKNOWN"  # the verb of an unknown command, so that the set of verbs is bounded

# More than any message number has. Some clients send TOP with 2147483647 lines.
MAX_DIGITS = 10

_NUMBER = re.compile(rb"[0-9]{1,%d}" % MAX_DIGITS)

FAULTS: Mapping[LineFault | None, str] = {
    LineFault.TOO_LONG: "Line too long",
    LineFault.BARE_CR: "Bare CR in a command",
    LineFault.NUL: "NUL in a command",
}
"""The faults of a line that are errors. A bare LF is none, because people type POP3 by hand."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A verb without arguments: CAPA, STLS, UTF8, STAT, NOOP, RSET, QUIT."""

    verb: str


@dataclass(frozen=True, slots=True)
class User:
    """`USER name`"""

    login: str
    verb: Literal["USER"] = "USER"


@dataclass(frozen=True, slots=True)
class Pass:
    """`PASS string`; the string may contain spaces (RFC 1939 §7)."""

    secret: Secret[str]
    verb: Literal["PASS"] = "PASS"


@dataclass(frozen=True, slots=True)
class Auth:
    """`AUTH [mechanism [initial-response]]`; the mechanism is "" to list them, `initial` is in base64."""

    mechanism: str
    initial: Secret[bytes] | None = None
    verb: Literal["AUTH"] = "AUTH"


@dataclass(frozen=True, slots=True)
class Lang:
    """`LANG [language-range]`; the range is in lower case, and "" to list the languages (RFC 6856 §3)."""

    language: str
    verb: Literal["LANG"] = "LANG"


@dataclass(frozen=True, slots=True)
class MessageCommand:
    """A verb and a message number: RETR, DELE."""

    verb: str
    number: int


@dataclass(frozen=True, slots=True)
class ListCommand:
    """A verb and an optional message number, None for all messages: LIST, UIDL."""

    verb: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Top:
    """`TOP msg n`: the header and the first `lines` lines of the body."""

    number: int
    lines: int
    verb: Literal["TOP"] = "TOP"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A malformed line. `why` is the text of the reply, and never repeats the line."""

    verb: str
    why: str


Command = Bare | User | Pass | Auth | Lang | MessageCommand | ListCommand | Top | Invalid


class Malformed(Exception):
    """Malformed arguments; the message is the text of the reply."""


def parse(line: Line) -> Command:
    """The command of a line. Verbs are case-insensitive (RFC 1939 §3)."""
    if line.fault in FAULTS:
        return Invalid(UNKNOWN, FAULTS[line.fault])
    keyword, _, arguments = line.octets.partition(b" ")
    verb = keyword.decode("ascii", "replace").upper()
    if verb not in GRAMMAR:
        return Invalid(UNKNOWN, "Unknown command")
    try:
        return GRAMMAR[verb](verb, arguments)
    except Malformed as error:
        return Invalid(verb, str(error))


def parse_bare(verb: str, arguments: bytes) -> Bare:
    """A verb without arguments. Raises Malformed."""
    if arguments.strip():
        raise Malformed(f"{verb} takes no argument")
    return Bare(verb)


def parse_user(_: str, arguments: bytes) -> User:
    """`USER name`"""
    return User(expect_text(arguments.strip()))


def parse_pass(_: str, arguments: bytes) -> Pass:
    """`PASS string`: the string is everything after the first space."""
    return Pass(Secret(expect_text(arguments)))


def parse_auth(_: str, arguments: bytes) -> Auth:
    """`AUTH [mechanism [initial-response]]`"""
    mechanism, _space, initial = arguments.strip().partition(b" ")
    return Auth(mechanism.decode("ascii", "replace").upper(), Secret(initial) if initial else None)


def parse_lang(_: str, arguments: bytes) -> Lang:
    """`LANG [language-range]`"""
    return Lang(arguments.strip().decode("ascii", "replace").lower())


def parse_message_command(verb: str, arguments: bytes) -> MessageCommand:
    """`verb msg`"""
    return MessageCommand(verb, expect_number(arguments.strip()))


def parse_list_command(verb: str, arguments: bytes) -> ListCommand:
    """`verb [msg]`"""
    number = arguments.strip()
    return ListCommand(verb, expect_number(number) if number else None)


def parse_top(_: str, arguments: bytes) -> Top:
    """`TOP msg n`"""
    number, _space, lines = arguments.strip().partition(b" ")
    return Top(expect_number(number), expect_number(lines.strip()))


def expect_number(octets: bytes) -> int:
    """A decimal number. Raises Malformed."""
    if not _NUMBER.fullmatch(octets):
        raise Malformed("Expected a number")
    return int(octets)


def expect_text(octets: bytes) -> str:
    """A name or password: printable UTF-8, normalized like SASLprep (RFC 6856 §2.2). Raises Malformed."""
    try:
        text = unicodedata.normalize("NFKC", octets.decode())
    except UnicodeDecodeError:
        raise Malformed("Argument is not UTF-8") from None
    if not text:
        raise Malformed("Missing argument")
    if not text.isprintable():
        raise Malformed("Invalid character in argument")
    return text


GRAMMAR: Mapping[str, Callable[[str, bytes], Command]] = {
    "AUTH": parse_auth,
    "CAPA": parse_bare,
    "DELE": parse_message_command,
    "LANG": parse_lang,
    "LIST": parse_list_command,
    "NOOP": parse_bare,
    "PASS": parse_pass,
    "QUIT": parse_bare,
    "RETR": parse_message_command,
    "RSET": parse_bare,
    "STAT": parse_bare,
    "STLS": parse_bare,
    "TOP": parse_top,
    "UIDL": parse_list_command,
    "USER": parse_user,
    "UTF8": parse_bare,
}
