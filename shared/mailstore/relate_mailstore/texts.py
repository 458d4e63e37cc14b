"""The text of a message that a search looks into (RFC 9051 §6.4.4): decoded, without regard to case or line breaks.

That is every field of the header, decoded and unfolded, and every text part that is no attachment, decoded; HTML
without its markup. Pure. Words that a line end broke match with a space, as any run of white space is one.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relate_mailstore.mime import decode_header, header_fields
from relate_mailstore.mime.charsets import clean_lines, decode_charset
from relate_mailstore.mime.transfer import decode_transfer
from relate_mailstore.types import Part, TextPart

TEXT_LIMIT = 1_048_576
"""Characters of the body that are searched: a novel. What is longer is a log file or a data set."""

PART_LIMIT = 2 * TEXT_LIMIT
"""Octets of a part that are decoded: more would be cut anyway, as base64 takes four for three."""

_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|code|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)\b[^>]*>", re.IGNORECASE
)
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(style|script)\b.*?(?:</\1\s*>|\Z)|<[a-z/!?][^>]*(?:>|\Z)", re.DOTALL | re.IGNORECASE
)


class SearchText(NamedTuple):
    """What is searched of a message. `header` has a line a field, so that no match runs from one into the next."""

    header: str
    body: str

    def has(self, folded: str, part: TextPart) -> bool:
        """Whether this contains a text that was folded."""
        return folded in self.body or (part is TextPart.ANYWHERE and folded in self.header)


def fold(text: str) -> str:
    """The text without regard to case, any white space a single space."""
    return " ".join(f"|{text.casefold()}|".split())[1:-1]  # the bars keep space at either end


def text_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts that are searched."""
    for part in parts:
        if part.media_type.startswith("text/") and part.section[-1:].isdigit() and not part.attachment:
            yield part


def part_span(part: Part) -> tuple[int, int]:
    """The octets [start, end) of the raw message that are searched of a part."""
    return part.body, min(part.end, part.body + PART_LIMIT)


def make_text(header: bytes, bodies: Sequence[tuple[Part, bytes]]) -> SearchText:
    """The text of a message, of its header and the octets of its `text_parts`, in their order."""
    fields = [f"{name.decode()}: {decode_header(value)}" for name, value, _ in header_fields(header, 0, len(header))]
    body, room = [], TEXT_LIMIT
    for part, octets in bodies:
        text = fold(_plain_text(part, octets))[:room]
        body.append(text)
        room -= len(text)
    return SearchText("\n".join(map(fold, fields)), " ".join(body))


def message_text(raw: bytes, parts: Sequence[Part]) -> SearchText:
    """The text of a message at hand."""
    spans = [(part, part_span(part)) for part in text_parts(parts)]
    return make_text(raw[: parts[0].body], [(part, raw[start:end]) for part, (start, end) in spans])


def _plain_text(part: Part, octets: bytes) -> str:
    text = clean_lines(decode_charset(decode_transfer(octets, part.encoding), part.charset))
    if part.media_type == "text/html":
        return html.unescape(_MARKUP.sub(" ", _INLINE.sub("", text)))
    return text
