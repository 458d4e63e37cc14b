"""Reads the tokens of one command (RFC 9051 §9), for all productions.

The grammar requires exactly one space between tokens. Clients send more, also at the end, and Dovecot accepts them: so
`expect_space`, `expect_end` and the lists skip spaces, and no production has to. Malformed input raises Malformed,
which `parse` turns into a value.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from relate_imap.selected.sequence_set import MAX_NUMBER, SequenceSet, parse_set
from relate_wire.lines import NUL

MAX_63_BIT_NUMBER = 0x7FFF_FFFF_FFFF_FFFF

# Of a parenthesized list: more than clients send, and parsed in milliseconds.
MAX_ELEMENTS = 10_000

ATOM_CHAR = rb"[!#$&'+-\[^-z|}~]"
ASTRING_CHAR = rb"[!#$&'+-\[\]^-z|}~]"
# Dovecot's astring: also "%", "*" and "\" (in passwords and search texts) and 8-bit octets (Jakarta Mail). Unambiguous,
# because no other token that begins with one of these may stand where an astring is expected.
LENIENT_CHAR = rb"[!#-'*-z|}~\x80-\xff]"
TAG_CHAR = rb"[!#$&',-\[\]^-z|}~]"

_ATOM = re.compile(ATOM_CHAR + rb"+")
_ASTRING = re.compile(LENIENT_CHAR + rb"+")
# Only quotes and backslashes need a backslash; Dovecot accepts it before any other character too.
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]++|\\[^\r\n])*+)"')
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"\{[0-9]+\+?\}\r\n")
_LITERAL8 = re.compile(rb"~\{[0-9]+\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_SET = re.compile(rb"[$0-9*][0-9*:,]*")
_SPACES = re.compile(rb" ++")
_CLOSE = re.compile(rb" *+\)")
_SEPARATED = (b" ", b")", b"\n")  # may precede a token without a space; "\n" ends a literal's announcement

T = TypeVar("T")


class Malformed(Exception):
    """A syntax error; `reason` is a sentence for the client. See `Invalid` for the other fields."""

    def __init__(self, reason: str, code: str = "", *, refused: bool = False, saves_result: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.refused = refused
        self.saves_result = saves_result


class Cursor:
    """A position in a command. `utf8`: names are not in modified UTF-7; `charset_given`: search texts are UTF-8."""

    __slots__ = ("_at", "_literals", "_text", "charset_given", "utf8")

    def __init__(self, text: bytes, literals: Iterable[bytes] = (), at: int = 0, *, utf8: bool = False) -> None:
        self._text = text
        self._literals = iter(literals)
        self._at = at
        self.utf8 = utf8
        self.charset_given = False

    # --- characters

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Consume a match of the pattern, if there is one."""
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def starts_with(self, octets: bytes) -> bool:
        """Whether these octets, given in capitals, come next in any case."""
        return self._text[self._at : self._at + len(octets)].upper() == octets

    def accept(self, octets: bytes) -> bool:
        """Consume these octets, in any case, if they come next."""
        if not self.starts_with(octets):
            return False
        self._at += len(octets)
        return True

    def expect(self, octets: bytes, reason: str) -> None:
        """Consume these octets. Raises Malformed."""
        if not self.accept(octets):
            raise Malformed(reason)

    def skip_spaces(self) -> bool:
        """Skip spaces; returns whether there were any."""
        return self.match(_SPACES) is not None

    def expect_space(self) -> None:
        """Skip the spaces between two tokens; none are needed after ")" and a literal. Raises Malformed."""
        if not self.skip_spaces() and self._text[self._at - 1 : self._at] not in _SEPARATED:
            raise Malformed("A space is expected" if self._at < len(self._text) else "An argument is missing")

    def expect_end(self) -> None:
        """Skip spaces up to the end. Raises Malformed."""
        if not self.at_end:
            raise Malformed("Too many arguments")

    @property
    def at_end(self) -> bool:
        """Whether only spaces follow."""
        self.skip_spaces()
        return self._at >= len(self._text)

    # --- words and strings

    def atom(self) -> str:
        """An atom as written. Raises Malformed."""
        found = self.match(_ATOM)
        if found is None:
            raise Malformed("An atom is expected")
        return found[0].decode("ascii")

    def word(self) -> str:
        """An atom in capitals. Raises Malformed."""
        return self.atom().upper()

    def astring(self) -> bytes:
        """An atom that may contain "]", or a string. Raises Malformed."""
        found = self.match(_ASTRING)
        return found[0] if found is not None else self.string()

    def text(self) -> str:
        """A search text: an astring in UTF-8, or in Latin-1 if it is not UTF-8 and no charset was given.

        Jakarta Mail sends Latin-1 without a charset once UTF8=ACCEPT is enabled. Raises Malformed.
        """
        octets = self.astring()
        if self.charset_given:
            return text_of(octets)
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets.decode("latin-1")

    def string(self) -> bytes:
        """A quoted string or a literal. Raises Malformed."""
        quoted = self.match(_QUOTED)
        if quoted is None:
            return self._literal_string()
        octets = quoted[1]
        return _ESCAPED.sub(rb"\1", octets) if b"\\" in octets else octets

    def nstring(self) -> bytes | None:
        """A string, or NIL. Raises Malformed."""
        return None if self.accept(b"NIL") else self.string()

    def literal(self) -> bytes | None:
        """A literal of any octets; None if the next token is not one."""
        return next(self._literals, None) if self.match(_LITERAL) else None

    def literal8(self) -> bytes | None:
        """A literal8 of any octets (RFC 3516 §4.4); None if the next token is not one."""
        return next(self._literals, None) if self.match(_LITERAL8) else None

    def _literal_string(self) -> bytes:
        octets = self.literal()
        if octets is None:
            raise Malformed("A string is expected")
        if NUL in octets:
            raise Malformed("A NUL is not allowed")
        return octets

    # --- numbers

    def number(self, minimum: int = 0, maximum: int = MAX_NUMBER) -> int:
        """A number within limits. Raises Malformed."""
        found = self.match(_NUMBER)
        if found is None:
            raise Malformed("A number is expected")
        number = int(found[0])
        if not minimum <= number <= maximum:
            raise Malformed("A number is out of range")
        return number

    def quoted_number(self, minimum: int = 0, maximum: int = MAX_63_BIT_NUMBER) -> int:
        """A number, optionally in quotes, which Dovecot accepts in searches. Raises Malformed."""
        quoted = self.accept(b'"')
        number = self.number(minimum, maximum)
        if quoted:
            self.expect(b'"', "A number is expected")
        return number

    def number64(self, minimum: int = 0) -> int:
        """A number of at most 63 bits: octets, modification sequences. Raises Malformed."""
        return self.number(minimum, MAX_63_BIT_NUMBER)

    def sequence_set(self) -> SequenceSet:
        """A sequence set. Raises Malformed."""
        numbers = self.optional_set()
        if numbers is None:
            raise Malformed("A set of messages is expected")
        return numbers

    def optional_set(self) -> SequenceSet | None:
        """A sequence set; None if the next token is not one. Raises Malformed."""
        found = self.match(_SET)
        if found is None:
            return None
        numbers = parse_set(found[0])
        if numbers is None:
            raise Malformed("Not a set of messages")
        return numbers

    # --- lists

    def parenthesized(
        self, element: "Callable[[Cursor], T]", *, may_be_empty: bool = False, maximum: int = MAX_ELEMENTS
    ) -> list[T]:
        """Elements in parentheses, separated by spaces. Raises Malformed."""
        self.expect(b"(", "A parenthesis is expected")
        if may_be_empty and self.accept_close():
            return []
        self.skip_spaces()
        elements = [element(self)]
        while not self.accept_close():
            self.expect_space()
            elements.append(element(self))
            if len(elements) > maximum:
                raise Malformed("The list is too long")
        return elements

    def accept_close(self) -> bool:
        """Consume a closing parenthesis, and spaces before it, if it comes next."""
        return self.match(_CLOSE) is not None

    def remaining(self, element: "Callable[[Cursor], T]", maximum: int = MAX_ELEMENTS) -> list[T]:
        """All elements up to the end of the command, each preceded by a space. Raises Malformed."""
        elements: list[T] = []
        while not self.at_end:
            self.expect_space()
            elements.append(element(self))
            if len(elements) > maximum:
                raise Malformed("Too many arguments")
        return elements


def text_of(octets: bytes) -> str:
    """Decode UTF-8. Raises Malformed."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise Malformed("Not UTF-8") from None
