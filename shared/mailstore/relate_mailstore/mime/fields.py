"""Header fields (RFC 5322 §2.2): where a header ends, where its fields lie, and what a value says when unfolded.

Lines end at LF, with or without CR. A header ends at its blank line, or before the first line that is no field: such a
line was meant as the body, by a sender who forgot the blank line.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

HEADER_LIMIT = 262_144
"""Octets of a header that are looked at: five times the longest that mailing lists and ARC chains produce."""

MAX_FIELDS = 1_000
"""Fields of a header that are looked at; real ones have fewer than 200."""

_HEADER = re.compile(
    rb"(?:From (?!\s*:)[^\n]*+\n)?+"  # the separator line of an mbox file, still there
    rb"(?:(?:[!-9;-~]*+[ \t]*+:|[ \t])[^\n]*+(?:\n|\Z))*+"
    rb"(?:\r?\n)?+"
)
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:[ \t]*+([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
_DESTINATIONS = frozenset({b"to", b"cc", b"bcc"})

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


def header_end(raw: bytes, start: int, stop: int) -> int:
    """Where the body begins: after the blank line, or where no field is."""
    match = _HEADER.match(raw, start, stop)
    return match.end() if match else start


def header_fields(raw: bytes, start: int, stop: int) -> Iterator[Field]:
    """Every field of the header [start, stop), in order. Lines that belong to no field are passed over."""
    for match in _FIELD.finditer(raw, start, stop):
        yield Field(match[1], match[2].rstrip(), (match.start(), min(match.end() + 1, stop)))


def collect_fields(header: bytes) -> Fields:
    """The fields of a header by name. The first of a name counts; To, Cc, Bcc are joined."""
    fields: Fields = {}
    for name_as_written, value in _FIELD.findall(header)[:MAX_FIELDS]:
        name = name_as_written.lower()
        if name not in fields:
            fields[name] = value
        elif name in _DESTINATIONS:  # RFC 5322 §4.5.3
            fields[name] += b"," + value
    return fields


def unfold(value: bytes) -> bytes:
    """The value on one line, without space around it (RFC 5322 §2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip()


def unquote(quoted: bytes) -> bytes:
    """The inside of a quoted string or comment, its quoted pairs undone (RFC 5322 §3.2.4)."""
    return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def comment_end(value: bytes, start: int) -> int:
    """Where the comment that opens at `start` ends; comments nest (RFC 5322 §3.2.2)."""
    depth, position = 0, start
    while position < len(value):
        depth += 1 if value[position : position + 1] == b"(" else -1
        position += 1
        if depth == 0:
            break
        match = _INSIDE_COMMENT.match(value, position)
        position = match.end() if match else position
    return position


def strip_comments(value: bytes) -> bytes:
    """A structured value, each of its comments a space."""
    if b"(" not in value:
        return value
    pieces, position = [], 0
    while position < len(value):
        match = _OUTSIDE_COMMENT.match(value, position)
        opening = match.end() if match else len(value)
        pieces.append(value[position:opening])
        position = comment_end(value, opening)
    return b" ".join(pieces)
