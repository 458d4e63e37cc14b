"""The tree of parts of a raw message (RFC 2045, RFC 2046), as offsets: nothing is decoded, no content copied.

Whatever cannot be opened (a multipart without parts, an encoded message, what is beyond a limit) becomes an opaque
leaf. The outer boundary wins: a part never reaches beyond its multipart, whatever is inside.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from relate_mailstore.mime.content import Content, Kind, read_header, retyped
from relate_mailstore.mime.fields import HEADER_LIMIT, Fields, header_end
from relate_mailstore.mime.transfer import ENCODED

MAX_DEPTH = 100
"""Levels of multiparts and messages in one another, as Dovecot's; bounces of bounces reach ten or twenty."""

MAX_PARTS = 10_000
"""Parts of a message, as Dovecot's. The last one takes the rest of its multipart."""

HEADERS_LIMIT = 2 * HEADER_LIMIT
"""Octets of headers that are looked at in all parts together: a hostile one costs a microsecond an octet."""

SEARCH_PASSES = 16
SEARCH_FLOOR = 4_000_000
NEAR_MISS = 1_000
"""Each level is searched again for its own boundary, so the octets searched are bounded: to so many times the message,
or to the floor, which no small message reaches. A line that begins like a delimiter, and is none, costs a thousand."""

_DELIMITER_TAIL = re.compile(rb"(--)?+[ \t]*+\r?+(?:\n|\Z)")
_CARRIAGE_RETURN = 13


@dataclass(slots=True, eq=False)
class Node:
    """A part, or a message: header [header, body), content [body, end), both in octets of the raw message.

    A multipart has at least one child, a message exactly one: the message inside it.
    """

    header: int
    body: int
    end: int
    fields: Fields
    content: Content
    children: list["Node"] = field(default_factory=list)


def scan(raw: bytes) -> Node:
    """The tree of a raw message."""
    return _Scanner(raw).scan_part(0, len(raw), 0)


class _Scanner:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.room = MAX_PARTS
        self.header_room = HEADERS_LIMIT
        self.searchable = max(SEARCH_PASSES * len(raw), SEARCH_FLOOR)

    def scan_part(
        self, start: int, end: int, depth: int, *, in_multipart: bool = False, in_digest: bool = False
    ) -> Node:
        self.room -= 1
        body = header_end(self.raw, start, end, in_multipart=in_multipart)
        header = self.raw[start : min(body, start + HEADER_LIMIT, start + self.header_room)]
        self.header_room -= len(header)
        node = Node(start, body, end, *read_header(header, in_digest=in_digest))
        if node.content.kind is Kind.MULTIPART:
            self.open_multipart(node, depth)
        elif node.content.kind is Kind.MESSAGE:
            self.open_message(node, depth)
        return node

    def open_multipart(self, node: Node, depth: int) -> None:
        in_digest = node.content.media_type == "multipart/digest"
        if node.content.boundary and self.may_open(node, depth):
            for start, end in self.part_spans(node.content.boundary, node.body, node.end):
                part = self.scan_part(start, end, depth + 1, in_multipart=True, in_digest=in_digest)
                node.children.append(part)
        if not node.children:
            node.content = retyped(node.fields, b"text/plain")

    def open_message(self, node: Node, depth: int) -> None:
        if node.content.encoding not in ENCODED and self.may_open(node, depth):
            node.children.append(self.scan_part(node.body, node.end, depth + 1))
        else:
            node.content = retyped(node.fields, b"application/octet-stream")

    def may_open(self, node: Node, depth: int) -> bool:
        self.searchable -= node.end - node.body
        return depth < MAX_DEPTH and self.room > 0 and self.searchable >= 0

    def part_spans(self, boundary: bytes, body: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts between the delimiter lines lie (RFC 2046 §5.1.1); the close delimiter may be missing."""
        delimiter = b"\n--" + boundary
        start, position = None, body - 1  # the line end of the line before may open a delimiter
        while self.searchable >= 0 and (found := self.raw.find(delimiter, position, end)) >= 0:
            tail = _DELIMITER_TAIL.match(self.raw, found + len(delimiter), end)
            if tail is None:  # a longer boundary that begins like this one
                self.searchable -= NEAR_MISS
                position = found + 1
                continue
            if start is not None:
                yield start, max(start, self.line_end_before(found))
            if tail[1]:
                return
            start, position = tail.end(), tail.end() - 1
            if self.room <= 1:
                break
        if start is not None:
            yield start, end

    def line_end_before(self, line_feed: int) -> int:
        """Where the line ends that this LF ends: the line end before a delimiter belongs to it."""
        return line_feed - 1 if self.raw[line_feed - 1] == _CARRIAGE_RETURN else line_feed
