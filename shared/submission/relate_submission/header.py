"""Edits of a received message's header section: which fields are removed and added.

Fields are searched by name up to the first empty line. Malformed lines do not end the header, because mail readers skip
them, too. The cost is linear: each octet is scanned a fixed number of times, in C.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relate_accounts.addresses import canonical_domain
from relate_accounts.errors import InvalidAddress
from relate_mime.fields import strip_comments, unfold, unquote

MAX_HEADER_OCTETS = 1024 * 1024
"""A longer header is cut here and its rest treated as body. Real headers are shorter than 100 KiB."""

MAX_FIELDS = 1000
"""Fields of one name in a message. Mail that has passed many filters has a few dozen."""

MAX_AUTHSERV_ID_OCTETS = 4096
"""Octets of an Authentication-Results field that are searched for its authserv-id, including comments."""

MAX_COMMENTS = 10
"""Opening parentheses in those octets. Filters write one or two; a nested comment costs a microsecond."""

# RFC 5322 §2.2.3, §4.5: spaces before the colon are obsolete syntax that must be parsed.
_REST = re.compile(rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+")
# RFC 8601 §2.2, and RFC 5451 §2.2, in which a version may follow without a space.
_AUTHSERV_ID = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^\s;/"]++)', re.DOTALL)


class TooManyFields(Exception):
    """A message has more than MAX_FIELDS fields of one name."""


class Field(NamedTuple):
    """A field of a header: its raw value, and the extent of the whole field, [start, end)."""

    value: bytes
    start: int
    end: int


class Header:
    """The header section of a message. `octets` ends with the line end of its last field."""

    __slots__ = ("_lowered", "octets")

    def __init__(self, message: bytes) -> None:
        self.octets = message[: _header_end(message)]
        # With a line end in front, so that a name is found at the offset in `octets` at which its field starts.
        self._lowered = b"\n" + self.octets.lower()

    def fields(self, name: bytes) -> Iterator[Field]:
        """The fields of a name, given in lower case. Raises TooManyFields."""
        needle = b"\n" + name
        position = self._lowered.find(needle)
        for _ in range(MAX_FIELDS):
            if position < 0:
                return
            rest = _REST.match(self.octets, position + len(name))
            if rest is not None:
                yield Field(rest[1], position, rest.end())
            position = self._lowered.find(needle, rest.end() if rest else position + 1)
        if position >= 0:
            raise TooManyFields(name.decode())

    def count(self, name: bytes) -> int:
        """The number of fields of a name, without a limit, and without those that have spaces before the colon."""
        return self._lowered.count(b"\n" + name + b":")

    def without(self, fields: Iterable[Field]) -> bytes:
        """The octets without these fields."""
        pieces, position = [], 0
        for field in sorted(fields, key=lambda field: field.start):
            pieces.append(self.octets[position : field.start])
            position = field.end
        return b"".join([*pieces, self.octets[position:]]) if position else self.octets


def bcc_fields(header: Header) -> Iterator[Field]:
    """The Bcc and Resent-Bcc fields (RFC 5322 §3.6.3). Raises TooManyFields."""
    for name in (b"bcc", b"resent-bcc"):
        yield from header.fields(name)


def forged_fields(header: Header, server_name: str) -> Iterator[Field]:
    """The fields that only this server may add: Return-Path (RFC 5321 §4.4), and Authentication-Results with its name.

    Raises TooManyFields.
    """
    yield from header.fields(b"return-path")
    server = _canonicalise(server_name)  # RFC 8601 §5
    for field in header.fields(b"authentication-results"):
        if _is_authserv(field.value, server):
            yield field


def missing_fields(header: Header, date: str, message_id: str) -> bytes:
    """The Date and Message-ID fields that a submitted message lacks (RFC 6409 §8.1, §8.3). Raises TooManyFields."""
    values = {"Date": date, "Message-ID": f"<{message_id}>"}
    missing = [name for name in values if next(header.fields(name.lower().encode()), None) is None]
    return "".join(f"{name}: {values[name]}\r\n" for name in missing).encode()


def _canonicalise(name: str) -> str:
    """The canonical form of an authserv-id: in lower case, with A-labels (RFC 8601 §5)."""
    name = name.rstrip(".")
    try:
        return canonical_domain(name)
    except InvalidAddress:
        return name.lower()


def _header_end(message: bytes) -> int:
    """The offset of the first empty line."""
    if message.startswith((b"\r\n", b"\n")):
        return 0
    ends = [message.find(blank, 0, MAX_HEADER_OCTETS) + 1 for blank in (b"\n\r\n", b"\n\n")]
    return min(filter(None, ends), default=MAX_HEADER_OCTETS)


def _is_authserv(value: bytes, server: str) -> bool:
    """Whether a value claims to be from this server. One without an authserv-id may be read as from any server."""
    beginning = value[:MAX_AUTHSERV_ID_OCTETS]
    if beginning.count(b"(") > MAX_COMMENTS:
        return True
    found = _AUTHSERV_ID.match(strip_comments(unfold(beginning)).strip())
    if found is None:
        return True
    name = found[2] if found[1] is None else unquote(found[1])
    return _canonicalise(name.decode(errors="replace")) == server
