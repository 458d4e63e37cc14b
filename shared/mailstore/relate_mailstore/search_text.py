"""The text of a message that a search looks into (RFC 9051 §6.4.4): decoded and folded. Pure.

The header of the message is every field of it, decoded. The body is, part by part, the fields of a MIME header and of
the header of an embedded message, the name of a file, and each text part that is no attachment: decoded, HTML without
its markup. A line a field and a line a part, so that no match runs from one into the next.

Parts of strangers may be long, so a part is decoded, stripped of markup and folded in slices of some milliseconds, and
only as far as there is room for its text.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from relate_mailstore.folding import fold, fold_slices
from relate_mailstore.mime import decode_header, header_fields
from relate_mailstore.mime.charsets import clean_lines, decode_slices
from relate_mailstore.mime.html import html_text
from relate_mailstore.mime.transfer import decode_transfer
from relate_mailstore.types import Part, TextPart

TEXT_LIMIT = 1_048_576
"""Characters of the body that are searched: a novel. What is longer is a log file or a data set."""

PART_LIMIT = 2 * TEXT_LIMIT
"""Octets of a part that are decoded: more would be cut anyway, as base64 takes four for three."""


class SearchText(NamedTuple):
    """What is searched of a message."""

    header: str
    body: str

    def has(self, folded: str, part: TextPart) -> bool:
        """Whether this contains a text that was folded."""
        return folded in self.body or (part is TextPart.ANYWHERE and folded in self.header)


class Span(NamedTuple):
    """Octets [start, stop) of the raw message that are searched: a header, or the content of a part."""

    part: Part
    start: int
    stop: int
    is_header: bool


def header_span(parts: Sequence[Part]) -> Span:
    """The header of the message."""
    return next(_spans(parts))


def body_spans(parts: Sequence[Part]) -> Iterator[Span]:
    """What is searched of the body, in the order of the message."""
    return islice(_spans(parts), 1, None)


def _spans(parts: Sequence[Part]) -> Iterator[Span]:
    # A message that is no multipart shares its header with its only part: that is the one with a file name.
    named = {(part.header, part.body): part for part in parts}
    for part in parts:
        if header := named.pop((part.header, part.body), None):
            yield Span(header, header.header, min(header.body, header.header + PART_LIMIT), is_header=True)
        if _is_text(part):
            yield Span(part, part.body, min(part.end, part.body + PART_LIMIT), is_header=False)


class BodyText:
    """Takes one span after another, while there is room."""

    def __init__(self) -> None:
        self.room = TEXT_LIMIT
        self._pieces: list[str] = []

    def add(self, span: Span, octets: bytes) -> None:
        """Add the text of a span, of these octets of it."""
        text = iter((header_text(span, octets),)) if span.is_header else fold_slices(_plain_text(span.part, octets))
        for piece in chain("\n" if self._pieces else "", text):
            self._pieces.append(piece[: self.room])
            self.room -= len(self._pieces[-1])
            if not self.room:
                return

    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)


def header_text(span: Span, octets: bytes) -> str:
    """The fields of a header, a line each: `name: value`; and the name of the file, where it was encoded."""
    fields = header_fields(octets, 0, len(octets))
    text = "\n".join(fold(f"{name.decode()}: {decode_header(value)}") for name, value, _ in fields)
    filename = fold(span.part.filename)
    return text if filename in text else f"{text}\n{filename}"


def message_text(raw: bytes, parts: Sequence[Part]) -> SearchText:
    """The text of a message at hand."""
    header, body = header_span(parts), BodyText()
    for span in body_spans(parts):
        if not body.room:
            break
        body.add(span, raw[span.start : span.stop])
    return SearchText(header_text(header, raw[header.start : header.stop]), body.text())


def _is_text(part: Part) -> bool:
    return part.media_type.startswith("text/") and part.section[-1:].isdigit() and not part.attachment


def _plain_text(part: Part, octets: bytes) -> Iterator[str]:
    text = map(clean_lines, decode_slices(decode_transfer(octets, part.encoding), part.charset))
    return html_text(text) if part.media_type == "text/html" else text
