"""A strict parser of IMAP responses (RFC 9051 §7), for any server.

    for response in ResponseReader().feed(octets): …

Atoms and strings are bytes, NIL is None, lists are tuples; `BODY[HEADER.FIELDS (FROM)]<0>` is one atom. Octets outside
of the grammar raise MalformedResponse, which is a fault of the server.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

Value = bytes | None | tuple["Value", ...]

_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n\Z")
_LITERAL_HERE = re.compile(rb"~?\{(\d+)\}\r\n")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
_ATOM = re.compile(rb'[^\s()"{\[\]]+')
_BRACKETS = re.compile(rb'\[(?:[^\]"\r\n]|"(?:[^"\\]|\\.)*")*\](?:<\d+>)?')
_STATUSES = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})


class MalformedResponse(Exception):
    """The octets are not a response."""


class Response(NamedTuple):
    """One response. `tag` is "*" for untagged data and "+" for a continuation; `kind` is in capitals.

    `code` is the response code of a status, its name in capitals first; `values` are the data of other kinds.
    """

    tag: str
    kind: str
    number: int | None = None
    values: tuple[Value, ...] = ()
    code: tuple[Value, ...] = ()
    text: bytes = b""

    @property
    def code_name(self) -> str:
        """The name of the response code; "" for none."""
        return self.code[0].decode() if self.code and isinstance(self.code[0], bytes) else ""


class ResponseReader:
    """Splits received octets into responses."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, octets: bytes) -> Iterator[Response]:
        """All responses that are complete now."""
        self._buffer += octets
        while (end := self._end()) is not None:
            complete, self._buffer = self._buffer[:end], self._buffer[end:]
            yield parse_response(complete)

    @property
    def rest(self) -> bytes:
        """Octets of an incomplete response."""
        return self._buffer

    def _end(self) -> int | None:
        start = 0
        while (line_end := self._buffer.find(b"\r\n", start)) >= 0:
            literal = _LITERAL.search(self._buffer, start, line_end + 2)
            if literal is None:
                return line_end + 2
            start = line_end + 2 + int(literal[1])
        return None


def parse_response(octets: bytes) -> Response:
    """Parse one response, its CRLF included. Raises MalformedResponse."""
    parser = _Parser(octets)
    tag = parser.word()
    if tag == "+":
        return Response(tag, "+", text=parser.rest().removeprefix(b" "))
    parser.space()
    word = parser.word()
    number = None
    if word.isdigit():
        parser.space()
        number, word = int(word), parser.word()
    kind = word.upper()
    if kind in _STATUSES:
        return Response(tag, kind, number, (), *parser.status())
    return Response(tag, kind, number, parser.values_to_end())


class _Parser:
    """Parses one response from left to right."""

    def __init__(self, octets: bytes) -> None:
        if not octets.endswith(b"\r\n"):
            raise MalformedResponse(octets)
        self._octets = octets
        self._position = 0

    def word(self) -> str:
        end = self._position
        while self._octets[end] not in b" \r":
            end += 1
        if end == self._position:
            raise self._fault("a word is missing")
        word, self._position = self._octets[self._position : end], end
        return word.decode("ascii")

    def space(self) -> None:
        if not self._skip(b" "):
            raise self._fault("a space is missing")

    def rest(self) -> bytes:
        return self._octets[self._position : -2]

    def status(self) -> tuple[tuple[Value, ...], bytes]:
        self.space()
        code: tuple[Value, ...] = ()
        if self._skip(b"["):
            values = self._values(b"]")
            name = values[0] if values else None
            if not isinstance(name, bytes):
                raise self._fault("a code has no name")
            code = (name.upper(), *values[1:])
            self.space()
        if not self.rest() or b"\r" in self.rest() or b"\n" in self.rest():
            raise self._fault("a sentence is missing")
        return code, self.rest()

    def values_to_end(self) -> tuple[Value, ...]:
        if self._at(b"\r\n"):
            self._position += 2
            return ()
        self.space()
        return self._values(b"\r\n")

    def _values(self, end: bytes) -> tuple[Value, ...]:
        """Values separated by spaces, up to `end`. Parts of multiparts, and threads, have no separator."""
        values: list[Value] = []
        while not self._skip(end):
            if values and not (self._at(b"(") and isinstance(values[-1], tuple)):
                self.space()
                if self._at(b" ") or (self._at(end) and end != b"\r\n"):
                    raise self._fault("a value is missing")
                if self._skip(end):  # a space at the end of a line, which some servers send after LSUB and SEARCH
                    raise self._fault("a space at the end")
            values.append(self._value())
        if end == b"\r\n" and self._position != len(self._octets):
            raise self._fault("a line ends early")
        return tuple(values)

    def _value(self) -> Value:
        if self._skip(b"("):
            return self._values(b")")
        if match := _QUOTED.match(self._octets, self._position):
            self._position = match.end()
            return re.sub(rb"\\(.)", rb"\1", match[1])
        if match := _LITERAL_HERE.match(self._octets, self._position):
            self._position = match.end() + int(match[1])
            return self._octets[match.end() : self._position]
        return self._atom()

    def _atom(self) -> Value:
        start = self._position
        while match := _ATOM.match(self._octets, self._position) or _BRACKETS.match(self._octets, self._position):
            self._position = match.end()
        atom = self._octets[start : self._position]
        if not atom:
            raise self._fault("a value is missing")
        return None if atom.upper() == b"NIL" else atom

    def _at(self, octets: bytes) -> bool:
        return self._octets.startswith(octets, self._position)

    def _skip(self, octets: bytes) -> bool:
        found = self._at(octets)
        self._position += len(octets) * found
        return found

    def _fault(self, why: str) -> MalformedResponse:
        around = (
            self._octets[max(0, self._position - 60) : self._position],
            self._octets[self._position : self._position + 60],
        )
        return MalformedResponse(f"{why} between {around[0]!r} and {around[1]!r}")


def as_text(value: Value) -> str:
    """An atom or string as text."""
    if not isinstance(value, bytes):
        raise MalformedResponse(f"no text: {value!r}")
    return value.decode("utf-8", "surrogateescape")


def as_number(value: Value) -> int:
    """An atom as a number."""
    if not isinstance(value, bytes) or not value.isdigit():
        raise MalformedResponse(f"no number: {value!r}")
    return int(value)


def as_list(value: Value) -> tuple[Value, ...]:
    """A parenthesized list."""
    if not isinstance(value, tuple):
        raise MalformedResponse(f"no list: {value!r}")
    return value


def as_numbers(value: Value) -> tuple[int, ...]:
    """A sequence set without "*" as numbers, in its order: `1:3,7`."""
    numbers: list[int] = []
    for piece in as_text(value).split(","):
        first, _, last = piece.partition(":")
        low, high = sorted((int(first), int(last or first)))
        numbers.extend(range(low, high + 1))
    return tuple(numbers)


def as_pairs(values: tuple[Value, ...]) -> dict[str, Value]:
    """Items of FETCH or STATUS: names in capitals, and their values."""
    if len(values) % 2:
        raise MalformedResponse(f"no pairs: {values!r}")
    return {as_text(name).upper(): value for name, value in zip(values[::2], values[1::2], strict=True)}
