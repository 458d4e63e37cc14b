"""PREVIEW (RFC 8970): the first words of a message, which clients list below the subject."""

import re

from relate_mime.charsets import clean_value, decode_charset
from relate_mime.html import html_text
from relate_mime.transfer import decode_transfer
from relate_mime.types import Part

PREVIEW_CHARACTERS = 256
"""The maximum (RFC 8970 §3.1)."""

FIRST_OCTETS = 384
MAX_OCTETS = 4_096
ENOUGH_CHARACTERS = 192
"""Octets of the part to decode: FIRST_OCTETS suffice for plain text. If they yield fewer than ENOUGH_CHARACTERS, decode
MAX_OCTETS, because HTML mail begins with a style sheet."""

_TITLE = frozenset({"title"})  # usually repeats the subject
_INVISIBLE_CHARACTERS = re.compile(
    "[\u00ad\u034f\u200b-\u200f\u2060\ufeff]+"
)  # newsletters pad their preview with these


def preview_part(raw: bytes, part: Part) -> str:
    """The first words of a text part; "" if it has none."""
    preview = _first_words(raw, part, FIRST_OCTETS)
    if len(preview) < ENOUGH_CHARACTERS and part.end - part.body > FIRST_OCTETS:
        preview = _first_words(raw, part, MAX_OCTETS)
    return preview


def _first_words(raw: bytes, part: Part, limit: int) -> str:
    octets = raw[part.body : min(part.end, part.body + limit)]
    text = decode_charset(decode_transfer(octets, part.encoding), part.charset)
    if part.media_type == "text/html":
        text = _INVISIBLE_CHARACTERS.sub("", "".join(html_text((text,), invisible=_TITLE)))
    return _one_line(text.strip())[:PREVIEW_CHARACTERS].rstrip()


def _one_line(text: str) -> str:
    line = text.replace("\r\n", " ")
    if "  " not in line and line.isprintable():  # the fast path: nearly always
        return line
    return clean_value(" ".join(text.split()))
