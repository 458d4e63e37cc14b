"""What is changed in the header section of a message that was received; its body is never touched.

Fields are looked for by name, wherever they stand before the first blank line: lines that are no field end no header
here, because programs that read mail pass over them too. Each octet is looked at a fixed number of times, in C.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from relate_accounts.addresses import canonical_domain
from relate_accounts.errors import InvalidAddress
from relate_mailstore.mime.fields import strip_comments, unfold, unquote

MAX_HEADER_OCTETS = 1024 * 1024
"""Octets that are looked at; real headers stay below 100 KiB. What is beyond counts as body."""

MAX_FIELDS = 1000
"""Fields of one name that are looked at; mail that has passed many filters has some dozens."""

MAX_AUTHSERV_ID_OCTETS = 4096
"""Octets of an Authentication-Results field in which its authserv-id is looked for, comments included."""

MAX_COMMENTS = 10
"""Opening parentheses in them. Filters write one or two, and comments in comments cost a microsecond each."""

# RFC 5322 §2.2.3, §4.5: spaces before the colon are obsolete and still read.
_REST = re.compile(rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+")
# RFC 8601 §2.2, and RFC 5451 §2.2, where a version may follow without a space.
_AUTHSERV_ID = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^\s;/"]++)', re.DOTALL)


class TooManyFields(Exception):
    """More fields of one name than are looked at."""


class Field(NamedTuple):
    """A field of a header: its value as it came, and where the whole field lies, [start, end)."""

    value: bytes
    start: int
    end: int


class Header:
    """The header section of a message: `octets` are those up to and with the line end of its last field."""

    __slots__ = ("_lowered", "octets")

    def __init__(self, message: bytes) -> None:
        self.octets = message[: _header_end(message)]
        self._lowered = b"\n" + self.octets.lower()  # a line end and a name begin where in `octets` the name does

    def fields(self, name: bytes) -> Iterator[Field]:
        """The fields of a name, which is in lower case. Raises TooManyFields."""
        wanted = b"\n" + name
        position = self._lowered.find(wanted)
        for _ in range(MAX_FIELDS):
            if position < 0:
                return
            rest = _REST.match(self.octets, position + len(name))
            if rest is not None:
                yield Field(rest[1], position, rest.end())
            position = self._lowered.find(wanted, rest.end() if rest else position + 1)
        if position >= 0:
            raise TooManyFields(name.decode())

    def count(self, name: bytes) -> int:
        """How many fields of a name there are: any number is counted, but not those with spaces before the colon."""
        return self._lowered.count(b"\n" + name + b":")

    def without(self, fields: Iterable[Field]) -> bytes:
        """The octets that are left without these fields."""
        kept, position = [], 0
        for field in sorted(fields, key=lambda field: field.start):
            kept.append(self.octets[position : field.start])
            position = field.end
        return b"".join([*kept, self.octets[position:]]) if position else self.octets


def blind_copies(header: Header) -> Iterator[Field]:
    """The Bcc and Resent-Bcc fields (RFC 5322 §3.6.3). Raises TooManyFields."""
    for name in (b"bcc", b"resent-bcc"):
        yield from header.fields(name)


def forgeries(header: Header, server_name: str) -> Iterator[Field]:
    """The fields that only this server may add: Return-Path (RFC 5321 §4.4), and Authentication-Results with the
    server's name as authserv-id (RFC 8601 §5). Raises TooManyFields.
    """
    yield from header.fields(b"return-path")
    server = _canonical(server_name)
    for field in header.fields(b"authentication-results"):
        if _is_authserv(field.value, server):
            yield field


def missing_fields(header: Header, date: str, message_id: str) -> bytes:
    """The Date and Message-ID fields that a submitted message lacks (RFC 6409 §8.1, §8.3). Raises TooManyFields."""
    values = {"Date": date, "Message-ID": f"<{message_id}>"}
    missing = [name for name in values if next(header.fields(name.lower().encode()), None) is None]
    return "".join(f"{name}: {values[name]}\r\n" for name in missing).encode()


def _canonical(name: str) -> str:
    """One spelling of an authserv-id: it is compared without case, and U-labels are A-labels (RFC 8601 §5)."""
    name = name.rstrip(".")
    try:
        return canonical_domain(name)
    except InvalidAddress:
        return name.lower()


def _header_end(message: bytes) -> int:
    """Where the first blank line is."""
    if message.startswith((b"\r\n", b"\n")):
        return 0
    ends = [message.find(blank, 0, MAX_HEADER_OCTETS) + 1 for blank in (b"\n\r\n", b"\n\n")]
    return min(filter(None, ends), default=MAX_HEADER_OCTETS)


def _is_authserv(value: bytes, server: str) -> bool:
    """Whether a value claims to be this server's. Where no authserv-id can be found it may be read as any server's."""
    beginning = value[:MAX_AUTHSERV_ID_OCTETS]
    if beginning.count(b"(") > MAX_COMMENTS:
        return True
    found = _AUTHSERV_ID.match(strip_comments(unfold(beginning)).strip())
    if found is None:
        return True
    name = found[2] if found[1] is None else unquote(found[1])
    return _canonical(name.decode(errors="replace")) == server
