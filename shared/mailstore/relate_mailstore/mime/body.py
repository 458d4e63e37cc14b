"""BODY, out of a BODYSTRUCTURE that was stored: the same without extension data (RFC 9051 §7.5.2)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

_TOKEN = re.compile(rb'[()]|"(?:[^"\\]++|\\.)*+"|\{(\d+)\}\r\n|[^ ()"{]++', re.DOTALL)

_ENVELOPE = 7  # the place of a message's envelope; its body and lines follow


@dataclass(slots=True)
class _Item:
    """A list (with its members) or a string, and where it lies."""

    start: int
    end: int = 0
    members: list["_Item"] = field(default_factory=list)


def without_extensions(bodystructure: bytes) -> bytes:
    """The BODY of the message whose BODYSTRUCTURE, as `index_message` renders it, this is."""
    return _strip(bodystructure, _parse(bodystructure))


def _parse(octets: bytes) -> _Item:
    stack = [_Item(0)]
    for start, end in _tokens(octets):
        if octets[start:end] == b")":
            stack.pop().end = end
            continue
        item = _Item(start, end)
        stack[-1].members.append(item)
        if octets[start:end] == b"(":
            stack.append(item)
    return stack[0].members[0]


def _tokens(octets: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while match := _TOKEN.search(octets, position):
        position = match.end() + int(match[1] or 0)  # a literal's octets follow it
        yield match.start(), position


def _strip(octets: bytes, body: _Item) -> bytes:
    members = body.members
    if members[0].members:
        return _strip_multipart(octets, members)
    kind = octets[body.start : members[1].end].lower()
    if kind.startswith((b'("message" "rfc822"', b'("message" "global"')):
        before, lines = octets[body.start : members[_ENVELOPE].end], members[_ENVELOPE + 2]
        inside = _strip(octets, members[_ENVELOPE + 1])
        return b"%b %b %b)" % (before, inside, octets[lines.start : lines.end])
    last = 7 if kind.startswith(b'("text"') else 6  # text has lines after its octets
    return octets[body.start : members[last].end] + b")"


def _strip_multipart(octets: bytes, members: list[_Item]) -> bytes:
    parts = [*takewhile(lambda member: member.members, members)]
    subtype = members[len(parts)]
    return b"(%b %b)" % (b"".join([_strip(octets, part) for part in parts]), octets[subtype.start : subtype.end])
