"""Header fields (RFC 5322 §2.2): the end of a header, the offsets of its fields, and their unfolded values.

Lines end at LF, with or without CR. A header ends at its blank line. A line that is no field (an mbox separator, an
unindented continuation, a name with a space) is skipped if a known mail field follows before the blank line; otherwise
the blank line is missing, and the body begins there.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

HEADER_LIMIT_OCTETS: Final = 1_048_576
"""Octets of a header that are parsed: twenty times the longest that mailing lists and ARC chains produce."""

GARBAGE_LIMIT_OCTETS: Final = 65_536
"""The distance within which a field must follow a line that is no field."""

_BLOCK_OCTETS: Final = 65_536
"""Octets per call of a regular expression, which holds the GIL."""

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
"""The fields that are parsed, in lower case. A header has each at most once (RFC 5322 §3.6, RFC 2045 §3)."""

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
"""The fields of one header: lower-case name to raw value, still folded."""


class Field(NamedTuple):
    """One header field. `span` is [start, end) in the raw octets, with the line end; `value` is still folded."""

    name: bytes
    value: bytes
    span: tuple[int, int]


def header_end(raw: bytes, start: int, stop: int, *, in_multipart: bool = False) -> int:
    """The offset of the body: after the blank line, or where the blank line is missing.

    `in_multipart`, the header is a body part's, where only Content-… and X-… are mail fields (RFC 2046 §5.1).
    """
    end = _HeaderEnd(raw, start, stop, in_multipart)
    return end.find()


class _HeaderEnd:
    """The search for the end of one header. Linear, because `named` and `position` only advance."""

    def __init__(self, raw: bytes, start: int, stop: int, in_multipart: bool) -> None:
        self.raw, self.start, self.stop = raw, start, stop
        self.in_multipart = in_multipart
        self.seen: set[bytes] = set()
        self.named = start  # `seen` has the fields before this offset

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
        """The end of the run of field lines that starts here."""
        while position < self.stop:
            block = self.raw.find(b"\n", position + _BLOCK_OCTETS, self.stop) + 1 or self.stop
            match = _FIELD_LINES.match(self.raw, position, block)
            position = match.end() if match else position
            if position < block:
                break
        return position

    def next_field(self, garbage: int) -> int | None:
        """The next mail field after the line `garbage`, which is no field; None if the body begins at `garbage`."""
        if garbage - self.start > HEADER_LIMIT_OCTETS or self.raw.startswith(b"--", garbage):
            return None
        self.note_fields(garbage)
        limit = min(self.stop, garbage + GARBAGE_LIMIT_OCTETS)
        for match in _BLANK_DELIMITER_OR_FIELD.finditer(self.raw, garbage, limit):
            if match[1] is None:
                return None
            if self.is_mail_field(match[1].lower()):
                return match.start() + 1
        return None

    def note_fields(self, position: int) -> None:
        for match in _FIELD.finditer(self.raw, self.named, position):
            if (name := match[1].lower()) in _ONCE:
                self.seen.add(name)
        self.named = position

    def is_mail_field(self, name: bytes) -> bool:
        """Whether this is a mail field, rather than prose with a colon or a header quoted in the body."""
        if name.startswith((b"content-", b"x-")):
            return name not in self.seen
        if self.in_multipart:
            return False
        if name in _ONCE:
            return name not in self.seen
        return name in _REPEATED or name.startswith(_REPEATED_PREFIXES)


def header_fields(raw: bytes, start: int, stop: int) -> Iterator[Field]:
    """Every field of the header [start, stop), in order. Lines that belong to no field are skipped."""
    for match in _FIELD.finditer(raw, start, stop):
        yield Field(match[1], match[2].rstrip(), (match.start(), min(match.end() + 1, stop)))


def collect_fields(header: bytes) -> Fields:
    """The known fields of a header, by name. The first of a name counts; To, Cc and Bcc are joined."""
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
    """Unfold a value and strip it (RFC 5322 §2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip()


def unquote(quoted: bytes) -> bytes:
    """Undo the quoted pairs in the content of a quoted string or comment (RFC 5322 §3.2.4)."""
    return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def comment_end(value: bytes, start: int) -> int | None:
    """The end of the comment that opens at `start`, which may nest (RFC 5322 §3.2.2); None if it is never closed."""
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
    """Replace each comment of a structured value by a space; an unclosed one extends to the end."""
    if b"(" not in value:
        return value
    pieces, position = [], 0
    while position < len(value):
        match = _OUTSIDE_COMMENT.match(value, position)
        opening = match.end() if match else len(value)
        pieces.append(value[position:opening])
        position = comment_end(value, opening) or len(value)
    return b" ".join(pieces)
