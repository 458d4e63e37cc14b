"""Extract the text of a message that SEARCH TEXT and BODY match (RFC 9051 §6.4.4): decoded and folded. Pure.

The header text is every decoded field of the message's header. The body text is, part by part, the fields of MIME
headers and of the headers of embedded messages, filenames, and each text part that is no attachment: decoded, HTML
without markup. Each field and each part is one line, so that no match spans two.

Parts may be long, so a part is decoded, stripped of markup and folded in slices of some milliseconds, and only until
the text limit is reached.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from relate_mailstore.folding import fold, fold_slices
from relate_mailstore.types import TextPart
from relate_mime import Part, decode_header, header_fields
from relate_mime.charsets import clean_lines, decode_slices
from relate_mime.html import html_text
from relate_mime.transfer import decode_transfer

TEXT_CHARACTERS = 1_048_576
"""Of the body text: a novel. Longer text is a log file or a data set."""

PART_OCTETS = 2 * TEXT_CHARACTERS
"""Octets of a part that are decoded. More would exceed TEXT_CHARACTERS, because base64 encodes three octets as four."""


class SearchText(NamedTuple):
    """The searchable text of a message."""

    header: str
    body: str

    def has(self, folded: str, part: TextPart) -> bool:
        """Whether the text contains this folded substring."""
        return folded in self.body or (part is TextPart.ANYWHERE and folded in self.header)


class Span(NamedTuple):
    """A searchable range [start, stop) of the raw message: a header, or the content of a part."""

    part: Part
    start: int
    stop: int
    is_header: bool


def header_span(parts: Sequence[Part]) -> Span:
    """The span of the message's header."""
    return next(_spans(parts))


def body_spans(parts: Sequence[Part]) -> Iterator[Span]:
    """The spans of the body, in the order of the message."""
    return islice(_spans(parts), 1, None)


def _spans(parts: Sequence[Part]) -> Iterator[Span]:
    # A message that is no multipart shares its header with its only part, which has the filename.
    named = {(part.header, part.body): part for part in parts}
    for part in parts:
        if header := named.pop((part.header, part.body), None):
            yield Span(header, header.header, min(header.body, header.header + PART_OCTETS), is_header=True)
        if _is_text(part):
            yield Span(part, part.body, min(part.end, part.body + PART_OCTETS), is_header=False)


class BodyText:
    """Accumulates the text of spans, up to TEXT_CHARACTERS."""

    def __init__(self) -> None:
        self.remaining = TEXT_CHARACTERS
        self._pieces: list[str] = []

    def add(self, span: Span, octets: bytes) -> None:
        """Add the text of a span with these octets."""
        text = iter((header_text(span, octets),)) if span.is_header else fold_slices(_plain_text(span.part, octets))
        for piece in chain("\n" if self._pieces else "", text):
            self._pieces.append(piece[: self.remaining])
            self.remaining -= len(self._pieces[-1])
            if not self.remaining:
                return

    def text(self) -> str:
        """The accumulated text."""
        return "".join(self._pieces)


def header_text(span: Span, octets: bytes) -> str:
    """The fields of a header, `name: value` per line, then the filename unless a field contains it."""
    fields = header_fields(octets, 0, len(octets))
    text = "\n".join(fold(f"{name.decode()}: {decode_header(value)}") for name, value, _ in fields)
    filename = fold(span.part.filename)
    return text if filename in text else f"{text}\n{filename}"


def message_text(raw: bytes, parts: Sequence[Part]) -> SearchText:
    """The searchable text of a raw message."""
    header, body = header_span(parts), BodyText()
    for span in body_spans(parts):
        if not body.remaining:
            break
        body.add(span, raw[span.start : span.stop])
    return SearchText(header_text(header, raw[header.start : header.stop]), body.text())


def _is_text(part: Part) -> bool:
    return part.media_type.startswith("text/") and part.section[-1:].isdigit() and not part.attachment


def _plain_text(part: Part, octets: bytes) -> Iterator[str]:
    text = map(clean_lines, decode_slices(decode_transfer(octets, part.encoding), part.charset))
    return html_text(text) if part.media_type == "text/html" else text
