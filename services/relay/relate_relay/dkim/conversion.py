"""Converts a message for a server without 8BITMIME or SMTPUTF8 (RFC 6152 §3, RFC 6531 §3.2), as edits. Pure.

The text stays the same: content is encoded for transfer, and fields become those of RFC 2047 and RFC 2231. Signed and
encrypted parts (RFC 1847) are not changed. An embedded message that cannot be converted is encoded as a whole, as
message/global (RFC 6532 §3.7), so that forwarding such a message is not refused.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from relate_mime.content import Kind
from relate_mime.fields import header_fields
from relate_mime.parameters import parse_keyword, parse_media_type
from relate_mime.scan import Node
from relate_mime.surrogate import encode_field
from relate_mime.transfer import decode_quoted_printable
from relate_relay.dkim.data import MAX_LINE_OCTETS, Data, classify, has_bare_line_end, has_long_line
from relate_relay.dkim.transfer import encode_base64, encode_quoted_printable, refold_base64

_TRANSFER_ENCODING = b"Content-Transfer-Encoding"
_CONTENT_TYPE = b"Content-Type"
_MIME_VERSION = b"MIME-Version"

_PROTECTED = frozenset({"multipart/signed", "multipart/encrypted"})  # RFC 1847 §2.1, §2.2
_NEVER_ENCODED = frozenset({"message/partial", "message/external-body"})  # RFC 2046 §5.2.2, §5.2.3
_IDENTITIES = frozenset({"7bit", "8bit", "binary"})
_CRLF = b"\r\n"
_BLANK_LINE = b"\r\n\r\n"

Changes = dict[bytes, bytes]
"""Fields to set in a header: name to value."""


class Refusal(Enum):
    """Why a message cannot be sent to a server, permanently: the enhanced code (RFC 3463), and a sentence."""

    MALFORMED = ("5.6.0", "The message is malformed and cannot be sent as it is")
    CONVERSION = ("5.6.3", "The server cannot take all parts of the message, and they must not be converted")
    SMTPUTF8 = ("5.6.7", "The message has an address that is not ASCII, and the server does not support SMTPUTF8")

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463 §3.7, RFC 6531 §3.5)."""
        return self.value[0]

    @property
    def text(self) -> str:
        """One sentence for the sender."""
        return self.value[1]


class Refused(Exception):
    """The message, or an embedded message, cannot be converted."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class Edit(NamedTuple):
    """Octets that replace [start, stop). Of insertions at one offset, that of the outer part comes first.

    `octets` is iterated once, if at all: content is encoded only if the edit is applied.
    """

    start: int
    stop: int
    depth: int
    octets: Iterable[bytes]


class Conversion:
    """The edits of one message. `header_edits` are those of its own header, the others are in `edits`, unsorted."""

    def __init__(self, raw: bytes, *, eight_bit_mime: bool, smtputf8: bool) -> None:
        self.raw = raw
        self.eight_bit_mime = eight_bit_mime
        self.smtputf8 = smtputf8
        self.needs_utf8 = False
        """Whether a header still has octets above 127."""
        self.header_edits: list[Edit] = []
        self.edits: list[Edit] = []

    def convert(self, node: Node, depth: int = 0, *, is_message: bool = True) -> None:
        """Add the edits of a part, or of a message. Raises Refused."""
        if node.content.kind is Kind.MULTIPART:
            changes = self._convert_multipart(node, depth)
        elif node.content.kind is Kind.MESSAGE:
            changes = self._convert_embedded(node, depth)
        else:
            changes = self._convert_leaf(node, depth)
        self._convert_header(node, depth, changes, is_message)

    def close_header(self, header: int, body: int, depth: int, fields: bytes = b"") -> None:
        """Add fields at the end of the header [header, body), and the blank line if it is missing."""
        if self.raw.endswith(_BLANK_LINE, header, body) or self.raw[header:body] == _CRLF:
            end, added = body - len(_CRLF), fields
        else:
            line_end = b"" if header == body or self.raw.endswith(_CRLF, header, body) else _CRLF
            end, added = body, line_end + fields + _CRLF
        if added:
            self._edits_of_header(depth).append(Edit(end, end, depth, (added,)))

    def _edits_of_header(self, depth: int) -> list[Edit]:
        return self.edits if depth else self.header_edits

    def _carries(self, data: Data) -> bool:
        return data is Data.SEVEN_BIT or (data is Data.EIGHT_BIT and self.eight_bit_mime)

    def _convert_leaf(self, node: Node, depth: int) -> Changes:
        if self._carries(classify(self.raw, node.body, node.end)):
            return {}
        encoding, octets = self._encode(node)
        self.edits.append(Edit(node.body, node.end, depth, octets))
        return {_TRANSFER_ENCODING: encoding}

    def _encode(self, node: Node) -> tuple[bytes, Iterable[bytes]]:
        content = node.content
        if content.encoding == "base64":
            return b"base64", refold_base64(self.raw, node.body, node.end)
        if content.encoding == "quoted-printable":
            return b"quoted-printable", _recode(self.raw, node.body, node.end)
        if content.encoding not in _IDENTITIES or content.media_type in _NEVER_ENCODED or _is_composite(node):
            raise Refused(Refusal.CONVERSION)
        if content.media_type.startswith(("text/", "message/")):
            return b"quoted-printable", encode_quoted_printable(self.raw, node.body, node.end)
        return b"base64", encode_base64(self.raw, node.body, node.end)

    def _convert_multipart(self, node: Node, depth: int) -> Changes:
        before = len(self.edits)
        for child in node.children:
            self.convert(child, depth + 1, is_message=False)
        if len(self.edits) > before and node.content.media_type in _PROTECTED:
            raise Refused(Refusal.CONVERSION)
        self._convert_delimiters(node, depth)
        return self._identity(node) if len(self.edits) > before else {}

    def _convert_delimiters(self, node: Node, depth: int) -> None:
        """Remove a preamble or epilogue that cannot be sent: readers ignore both (RFC 2046 §5.1.1)."""
        first, last = node.children[0], node.children[-1]
        preamble_end = self.raw.rfind(b"\n", node.body, first.header - 1) + 1 or node.body
        epilogue = self.raw.find(b"\n", last.end + len(_CRLF), node.end) + 1 or node.end
        for start, stop in ((node.body, preamble_end), (epilogue, node.end)):
            if not self._carries(classify(self.raw, start, stop)):
                self.edits.append(Edit(start, stop, depth, ()))
        starts = [preamble_end, *(child.end for child in node.children)]
        stops = [*(child.header for child in node.children), epilogue]
        if not all(self._carries(classify(self.raw, *span)) for span in zip(starts, stops, strict=True)):
            raise Refused(Refusal.MALFORMED)

    def _convert_embedded(self, node: Node, depth: int) -> Changes:
        before, needs_utf8 = len(self.edits), self.needs_utf8
        try:
            self.convert(node.children[0], depth + 1)
        except Refused:
            self.needs_utf8 = needs_utf8
            self.edits[before:] = [Edit(node.body, node.end, depth, encode_base64(self.raw, node.body, node.end))]
            return {_CONTENT_TYPE: b"message/global", _TRANSFER_ENCODING: b"base64"}
        return self._identity(node) if len(self.edits) > before else {}

    def _identity(self, node: Node) -> Changes:
        """A composite part has the encoding that its parts have at most (RFC 2045 §6.4)."""
        declared = parse_keyword(node.fields.get(_TRANSFER_ENCODING.lower(), b""))
        if declared == b"binary" or (declared == b"8bit" and not self.eight_bit_mime):
            return {_TRANSFER_ENCODING: b"8bit" if self.eight_bit_mime else b"7bit"}
        return {}

    def _convert_header(self, node: Node, depth: int, changes: Changes, is_message: bool) -> None:
        missing = {name.lower(): b"%b: %b\r\n" % (name, value) for name, value in changes.items()}
        if is_message and changes:
            missing[_MIME_VERSION.lower()] = b"%b: 1.0\r\n" % _MIME_VERSION
        edits, position = self._edits_of_header(depth), node.header
        set_names = frozenset(name.lower() for name in changes)
        for field in header_fields(self.raw, node.header, node.body):
            start, stop = field.span
            name = field.name.lower()
            self._check_no_field(position, start)
            position = stop
            added = missing.pop(name, b"")
            if name in set_names:  # a second one is removed
                edits.append(Edit(start, stop, depth, (added,)))
            elif (converted := self._convert_field(start, stop)) is not None:
                edits.append(Edit(start, stop, depth, (converted,)))
        self._check_no_field(position, node.body)
        if missing or depth == 0:
            self.close_header(node.header, node.body, depth, b"".join(missing.values()))

    def _convert_field(self, start: int, stop: int) -> bytes | None:
        """The field in a form that can be sent; None if it is in such a form."""
        field = octets = self.raw[start:stop]
        if b"\0" in field or has_bare_line_end(field):
            raise Refused(Refusal.MALFORMED)
        if not field.isascii():
            if self.smtputf8:
                self.needs_utf8 = True
            else:
                field = self._encode_field(field)
        if has_long_line(field):
            field = fold(field)
        return None if field == octets else field

    def _encode_field(self, field: bytes) -> bytes:
        encoded = encode_field(field)
        if encoded is None:
            raise Refused(Refusal.SMTPUTF8)
        return encoded if field.endswith(_CRLF) else encoded.removesuffix(_CRLF)

    def _check_no_field(self, start: int, stop: int) -> None:
        """Check lines of a header that are no field, such as the blank line: they are sent as they are."""
        data = classify(self.raw, start, stop)
        if data is Data.BINARY or (data is Data.EIGHT_BIT and not self.smtputf8):
            raise Refused(Refusal.MALFORMED)
        self.needs_utf8 |= data is Data.EIGHT_BIT


def _recode(raw: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Malformed quoted-printable, as all decoders read it."""
    content = decode_quoted_printable(raw[start:stop])
    yield from encode_quoted_printable(content, 0, len(content))


def _is_composite(node: Node) -> bool:
    """Whether it is a multipart or message that the scanner did not open: neither may be encoded (RFC 2045 §6.4)."""
    found = parse_media_type(node.fields.get(_CONTENT_TYPE.lower(), b""))
    if found is None:
        return False
    return found.type == b"multipart" or (found.type == b"message" and found.subtype in {b"rfc822", b"global"})


def fold(field: bytes) -> bytes:
    """Fold lines of more than MAX_LINE_OCTETS before white space (RFC 5322 §2.2.3). Raises Refused if there is none."""
    pieces: list[bytes] = []
    position = 0
    while position < len(field):
        end = field.find(_CRLF, position, position + MAX_LINE_OCTETS + len(_CRLF))
        if end >= 0 or len(field) - position <= MAX_LINE_OCTETS:
            stop = end + len(_CRLF) if end >= 0 else len(field)
            pieces.append(field[position:stop])
        else:
            limit = position + MAX_LINE_OCTETS + 1
            stop = max(field.rfind(b" ", position + 1, limit), field.rfind(b"\t", position + 1, limit))
            if stop < 0:
                raise Refused(Refusal.MALFORMED)
            pieces.append(field[position:stop] + _CRLF)
        position = stop
    return b"".join(pieces)


class Slice(NamedTuple):
    """The octets [start, stop) of others, without a copy of them."""

    octets: bytes
    start: int
    stop: int


def apply_edits(raw: bytes, start: int, stop: int, edits: Iterable[Edit]) -> list[Slice]:
    """The octets [start, stop) with edits that do not overlap."""
    slices: list[Slice] = []
    position = start
    for edit in sorted(edits, key=lambda edit: edit[:3]):
        slices.append(Slice(raw, position, edit.start))
        slices += (Slice(octets, 0, len(octets)) for octets in edit.octets)
        position = edit.stop
    return [piece for piece in [*slices, Slice(raw, position, stop)] if piece.start < piece.stop]
