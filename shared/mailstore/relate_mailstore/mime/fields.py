"""Header fields (RFC 5322 §2.2): where a header ends, where its fields lie, and what a value says when unfolded.

Lines end at LF, with or without CR. A header ends at its blank line. A line that is no field (an mbox separator, an
unindented continuation, a name with a space in it) is passed over if a field of mail follows it before the blank line;
else the blank line is missing, and the body begins there.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

HEADER_LIMIT: Final = 1_048_576
"""Octets of a header that are looked at: twenty times the longest that mailing lists and ARC chains produce."""

GARBAGE_LIMIT_OCTETS: Final = 65_536
"""Octets in which a field has to follow a line that is no field."""

_BLOCK_OCTETS: Final = 65_536
"""Octets of a header that one regular expression sees: it holds the interpreter meanwhile."""

_BOM = rb"(?:\xef\xbb\xbf)?+"
_NAME = rb"[!-9;-~]++"
_FIELD_LINES = re.compile(rb"(?:(?:%b%b[ \t]*+:|[ \t])[^\n]*+(?:\n|\Z))*+" % (_BOM, _NAME))
_MBOX_SEPARATOR = re.compile(rb">?From [^\n]*+\n(?=%b[ \t]*+:)" % _NAME)
_BLANK_LINE = re.compile(rb"\r?\n")
_BLANK_DELIMITER_OR_FIELD = re.compile(rb"\n(?:\r?\n|--|%b(%b)[ \t]*+:)" % (_BOM, _NAME))
_FIELD = re.compile(rb"^%b(%b)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)" % (_BOM, _NAME), re.MULTILINE)

_DESTINATIONS = frozenset({b"to", b"cc", b"bcc"})
_ONCE = _DESTINATIONS | {
    b"content-description",
    b"content-disposition",
    b"content-id",
    b"content-language",
    b"content-location",
    b"content-md5",
    b"content-transfer-encoding",
    b"content-type",
    b"date",
    b"from",
    b"in-reply-to",
    b"message-id",
    b"references",
    b"reply-to",
    b"sender",
    b"subject",
}
"""The fields that are read, in lower case. A header has each once (RFC 5322 §3.6, RFC 2045 §3)."""

_REPEATED = frozenset(
    {
        b"authentication-results",
        b"delivered-to",
        b"dkim-signature",
        b"mime-version",
        b"received",
        b"received-spf",
        b"return-path",
        b"thread-index",
        b"thread-topic",
        b"user-agent",
    }
)
_REPEATED_PREFIXES = (b"arc-", b"list-", b"resent-", b"x-")

_OUTSIDE_COMMENT = re.compile(rb'(?:[^"(\\]++|\\.?|"(?:[^"\\]++|\\.?)*+"?)*+', re.DOTALL)
_INSIDE_COMMENT = re.compile(rb"(?:[^()\\]++|\\.?)*+", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.?)", re.DOTALL)

Fields = dict[bytes, bytes]
"""The fields of one header: name in lower case to value as it came, folded."""


class Field(NamedTuple):
    """One header field. `span` is [start, end) in the raw octets, its line end included; `value` is still folded."""

    name: bytes
    value: bytes
    span: tuple[int, int]


def header_end(raw: bytes, start: int, stop: int, *, in_multipart: bool = False) -> int:
    """Where the body begins: after the blank line, or where the blank line is missing.

    `in_multipart`, the header is that of a body part: only Content-… and X-… are fields of mail there (RFC 2046 §5.1).
    """
    end = _HeaderEnd(raw, start, stop, in_multipart)
    return end.find()


class _HeaderEnd:
    """The search for the end of one header: a single pass, as `named` and `position` only advance."""

    def __init__(self, raw: bytes, start: int, stop: int, in_multipart: bool) -> None:
        self.raw, self.start, self.stop = raw, start, stop
        self.in_multipart = in_multipart
        self.seen: set[bytes] = set()
        self.named = start  # the fields before it are in `seen`

    def find(self) -> int:
        separator = _MBOX_SEPARATOR.match(self.raw, self.start, self.stop)
        position = separator.end() if separator else self.start
        while (position := self.fields_end(position)) < self.stop:
            if blank := _BLANK_LINE.match(self.raw, position, self.stop):
                return blank.end()
            following = self.next_field(position)
            if following is None:
                break
            position = following
        return position

    def fields_end(self, position: int) -> int:
        """Where the field lines from here on end."""
        while position < self.stop:
            block = self.raw.find(b"\n", position + _BLOCK_OCTETS, self.stop) + 1 or self.stop
            match = _FIELD_LINES.match(self.raw, position, block)
            position = match.end() if match else position
            if position < block:
                break
        return position

    def next_field(self, garbage: int) -> int | None:
        """The field that shows that the line at `garbage` lies in the header; None where the body begins with it."""
        if garbage - self.start > HEADER_LIMIT or self.raw.startswith(b"--", garbage):
            return None
        self.see(garbage)
        limit = min(self.stop, garbage + GARBAGE_LIMIT_OCTETS)
        for match in _BLANK_DELIMITER_OR_FIELD.finditer(self.raw, garbage, limit):
            if match[1] is None:
                return None
            if self.is_of_mail(match[1].lower()):
                return match.start() + 1
        return None

    def see(self, position: int) -> None:
        for match in _FIELD.finditer(self.raw, self.named, position):
            if (name := match[1].lower()) in _ONCE:
                self.seen.add(name)
        self.named = position

    def is_of_mail(self, name: bytes) -> bool:
        """Whether a line is a field, and not prose with a colon or a header that the body quotes."""
        if name.startswith((b"content-", b"x-")):
            return name not in self.seen
        if self.in_multipart:
            return False
        if name in _ONCE:
            return name not in self.seen
        return name in _REPEATED or name.startswith(_REPEATED_PREFIXES)


def header_fields(raw: bytes, start: int, stop: int) -> Iterator[Field]:
    """Every field of the header [start, stop), in order. Lines that belong to no field are passed over."""
    for match in _FIELD.finditer(raw, start, stop):
        yield Field(match[1], match[2].rstrip(), (match.start(), min(match.end() + 1, stop)))


def collect_fields(header: bytes) -> Fields:
    """The fields of a header that are read, by name. The first of a name counts; To, Cc, Bcc are joined."""
    values: dict[bytes, list[bytes]] = {}
    for match in _FIELD.finditer(header):
        name = match[1].lower()
        if name not in _ONCE:
            continue
        if name not in values:
            values[name] = [match[2]]
        elif name in _DESTINATIONS:  # RFC 5322 §4.5.3
            values[name].append(match[2])
    return {name: b",".join(found) for name, found in values.items()}


def unfold(value: bytes) -> bytes:
    """The value on one line, without space around it (RFC 5322 §2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip()


def unquote(quoted: bytes) -> bytes:
    """The inside of a quoted string or comment, its quoted pairs undone (RFC 5322 §3.2.4)."""
    return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def comment_end(value: bytes, start: int) -> int | None:
    """Where the comment that opens at `start` ends; comments nest (RFC 5322 §3.2.2). None if it is never closed."""
    depth, position = 0, start
    while position < len(value):
        depth += 1 if value[position : position + 1] == b"(" else -1
        position += 1
        if depth == 0:
            return position
        match = _INSIDE_COMMENT.match(value, position)
        position = match.end() if match else position
    return None


def strip_comments(value: bytes) -> bytes:
    """A structured value, each of its comments a space. One that is never closed is all that is left."""
    if b"(" not in value:
        return value
    pieces, position = [], 0
    while position < len(value):
        match = _OUTSIDE_COMMENT.match(value, position)
        opening = match.end() if match else len(value)
        pieces.append(value[position:opening])
        position = comment_end(value, opening) or len(value)
    return b" ".join(pieces)
