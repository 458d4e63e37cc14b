"""Scan a raw message into its tree of parts (RFC 2045, RFC 2046), as offsets, without decoding or copying content.

A multipart without parts, an encoded message and everything beyond a limit become opaque leaves. The outer boundary
wins: a part never extends beyond its multipart, whatever its content.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from relate_mime.content import Content, Kind, read_header, with_media_type
from relate_mime.fields import HEADER_LIMIT_OCTETS, Fields, header_end
from relate_mime.transfer import ENCODED

MAX_LEVELS = 100
"""Nested multiparts and messages: Dovecot's limit. Bounces of bounces have ten or twenty levels."""

MAX_PARTS = 10_000
"""Per message: Dovecot's limit. The last part extends to the end of its multipart."""

HEADERS_LIMIT_OCTETS = 2 * HEADER_LIMIT_OCTETS
"""Octets of headers that are parsed per message: a hostile header costs 1 µs per octet."""

SEARCH_PASSES = 16
SEARCH_FLOOR_OCTETS = 4_000_000
NEAR_MISS_OCTETS = 1_000
"""The budget for boundary searches, because each level is searched again for its own boundary: SEARCH_PASSES times the
message, at least SEARCH_FLOOR_OCTETS. A line that begins like a delimiter but is none costs NEAR_MISS_OCTETS."""

_DELIMITER_TAIL = re.compile(rb"(--)?+[ \t]*+\r?+(?:\n|\Z)")
_CR = 13


@dataclass(slots=True, eq=False)
class Node:
    """A part or a message: header [header, body), content [body, end), as offsets into the raw message.

    A multipart has at least one child, a message part exactly one: the embedded message.
    """

    header: int
    body: int
    end: int
    fields: Fields
    content: Content
    children: list["Node"] = field(default_factory=list)


def scan(raw: bytes) -> Node:
    """The tree of parts of a raw message."""
    return _Scanner(raw).scan_part(0, len(raw), 0)


class _Scanner:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.room = MAX_PARTS
        self.header_room = HEADERS_LIMIT_OCTETS
        self.searchable = max(SEARCH_PASSES * len(raw), SEARCH_FLOOR_OCTETS)

    def scan_part(
        self, start: int, end: int, depth: int, *, in_multipart: bool = False, in_digest: bool = False
    ) -> Node:
        self.room -= 1
        body = header_end(self.raw, start, end, in_multipart=in_multipart)
        header = self.raw[start : min(body, start + HEADER_LIMIT_OCTETS, start + self.header_room)]
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
            node.content = with_media_type(node.fields, b"text/plain")

    def open_message(self, node: Node, depth: int) -> None:
        if node.content.encoding not in ENCODED and self.may_open(node, depth):
            node.children.append(self.scan_part(node.body, node.end, depth + 1))
        else:
            node.content = with_media_type(node.fields, b"application/octet-stream")

    def may_open(self, node: Node, depth: int) -> bool:
        self.searchable -= node.end - node.body
        return depth < MAX_LEVELS and self.room > 0 and self.searchable >= 0

    def part_spans(self, boundary: bytes, body: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts between delimiter lines (RFC 2046 §5.1.1). The close delimiter may be missing."""
        delimiter = b"\n--" + boundary
        start, position = None, body - 1  # the line end before the body may begin a delimiter
        while self.searchable >= 0 and (found := self.raw.find(delimiter, position, end)) >= 0:
            tail = _DELIMITER_TAIL.match(self.raw, found + len(delimiter), end)
            if tail is None:  # a longer boundary with this prefix
                self.searchable -= NEAR_MISS_OCTETS
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
        """The offset of the line end that has this LF: the line end before a delimiter belongs to the delimiter."""
        return line_feed - 1 if self.raw[line_feed - 1] == _CR else line_feed
