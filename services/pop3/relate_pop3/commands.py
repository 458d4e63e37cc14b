"""POP3 commands: a line in, a frozen value out (RFC 1939 §9, 2449 §3, 2595 §4, 5034 §4, 6856).

`parse` never raises: what is wrong with a line is a value too, `Invalid`. Passwords are wrapped as soon as they are
cut from the line. A command says nothing about whether it is allowed now, or whether its message exists.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from relate_wire.lines import Line, LineFault
from relate_wire.secret import Secret

UNKNOWN = "UNKNOWN"  # the verb of what is no command of ours, so that verbs stay few

# More digits than a maildrop has messages; enough for the 2147483647 lines that some clients ask of TOP.
MAX_DIGITS = 10

_NUMBER = re.compile(rb"[0-9]{1,%d}" % MAX_DIGITS)

FAULTS: Mapping[LineFault | None, str] = {
    LineFault.TOO_LONG: "Line too long",
    LineFault.BARE_CR: "A CR that ends no line",
    LineFault.NUL: "A NUL is not allowed",
}  # and a bare LF is forgiven: people type POP3 by hand


@dataclass(frozen=True, slots=True)
class Bare:
    """A verb alone: CAPA, STLS, UTF8, STAT, NOOP, RSET, QUIT."""

    verb: str


@dataclass(frozen=True, slots=True)
class User:
    """USER name"""

    login: str
    verb: Literal["USER"] = "USER"


@dataclass(frozen=True, slots=True)
class Pass:
    """PASS string; the string may hold spaces (RFC 1939 §7)."""

    secret: Secret[str]
    verb: Literal["PASS"] = "PASS"


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH mechanism [initial-response]; without a mechanism it asks which there are. `initial` is still base64."""

    mechanism: str
    initial: Secret[bytes] | None = None
    verb: Literal["AUTH"] = "AUTH"


@dataclass(frozen=True, slots=True)
class Lang:
    """LANG [language-range], in lower case; "" asks which languages there are (RFC 6856 §3)."""

    language: str
    verb: Literal["LANG"] = "LANG"


@dataclass(frozen=True, slots=True)
class Numbered:
    """A verb and a message number: RETR, DELE."""

    verb: str
    number: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A verb and perhaps a message number, None for all messages: LIST, UIDL."""

    verb: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Top:
    """TOP msg n: the header and `lines` lines of the body."""

    number: int
    lines: int
    verb: Literal["TOP"] = "TOP"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A line that is no command; `why` is a sentence for the client and never holds what the line held."""

    verb: str
    why: str


Command = Bare | User | Pass | Auth | Lang | Numbered | Listing | Top | Invalid


class Malformed(Exception):
    """Arguments that do not fit their verb; the message is a sentence for the client."""


def parse(line: Line) -> Command:
    """What a line asks for. Verbs may be in any case (RFC 1939 §3)."""
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
    """Nothing may follow the verb."""
    if arguments.strip():
        raise Malformed(f"{verb} takes no argument")
    return Bare(verb)


def parse_user(_: str, arguments: bytes) -> User:
    """USER name"""
    return User(expect_text(arguments.strip()))


def parse_pass(_: str, arguments: bytes) -> Pass:
    """PASS string: everything behind the one space belongs to it."""
    return Pass(Secret(expect_text(arguments)))


def parse_auth(_: str, arguments: bytes) -> Auth:
    """AUTH [mechanism [initial-response]]"""
    mechanism, _space, initial = arguments.strip().partition(b" ")
    return Auth(mechanism.decode("ascii", "replace").upper(), Secret(initial) if initial else None)


def parse_lang(_: str, arguments: bytes) -> Lang:
    """LANG [language-range]"""
    return Lang(arguments.strip().decode("ascii", "replace").lower())


def parse_numbered(verb: str, arguments: bytes) -> Numbered:
    """verb msg"""
    return Numbered(verb, expect_number(arguments.strip()))


def parse_listing(verb: str, arguments: bytes) -> Listing:
    """verb [msg]"""
    number = arguments.strip()
    return Listing(verb, expect_number(number) if number else None)


def parse_top(_: str, arguments: bytes) -> Top:
    """TOP msg n"""
    number, _space, lines = arguments.strip().partition(b" ")
    return Top(expect_number(number), expect_number(lines.strip()))


def expect_number(octets: bytes) -> int:
    """A decimal number. Raises Malformed."""
    if not _NUMBER.fullmatch(octets):
        raise Malformed("A number is expected here")
    return int(octets)


def expect_text(octets: bytes) -> str:
    """A name or password: printable UTF-8, normalized as by SASLprep (RFC 6856 §2.2). Raises Malformed."""
    try:
        text = unicodedata.normalize("NFKC", octets.decode())
    except UnicodeDecodeError:
        raise Malformed("Not UTF-8") from None
    if not text:
        raise Malformed("An argument is missing")
    if not text.isprintable():
        raise Malformed("A character is not allowed")
    return text


GRAMMAR: Mapping[str, Callable[[str, bytes], Command]] = {
    "AUTH": parse_auth,
    "CAPA": parse_bare,
    "DELE": parse_numbered,
    "LANG": parse_lang,
    "LIST": parse_listing,
    "NOOP": parse_bare,
    "PASS": parse_pass,
    "QUIT": parse_bare,
    "RETR": parse_numbered,
    "RSET": parse_bare,
    "STAT": parse_bare,
    "STLS": parse_bare,
    "TOP": parse_top,
    "UIDL": parse_listing,
    "USER": parse_user,
    "UTF8": parse_bare,
}
