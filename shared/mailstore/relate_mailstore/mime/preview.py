"""A message's first words (RFC 8970): what a list shows below the subject."""

import re

from relate_mailstore.mime.charsets import clean_value, decode_charset
from relate_mailstore.mime.html import html_text
from relate_mailstore.mime.transfer import decode_transfer
from relate_mailstore.types import Part

PREVIEW_LENGTH = 256
"""Characters, at most (RFC 8970 §3.1)."""

FIRST_OCTETS = 384
MAX_OCTETS = 4_096
ENOUGH = 192
"""Octets of the part that are read: first what plain text needs; where that gives fewer characters than are enough,
room for the style sheet that HTML mail begins with."""

_TITLE = frozenset({"title"})  # is the window's, and says what the subject says
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2060\ufeff]+")  # with these, mailings pad their own preview


def preview_part(raw: bytes, part: Part) -> str:
    """The first words of a text part; "" when it has none."""
    preview = _first_words(raw, part, FIRST_OCTETS)
    if len(preview) < ENOUGH and part.end - part.body > FIRST_OCTETS:
        preview = _first_words(raw, part, MAX_OCTETS)
    return preview


def _first_words(raw: bytes, part: Part, limit: int) -> str:
    octets = raw[part.body : min(part.end, part.body + limit)]
    text = decode_charset(decode_transfer(octets, part.encoding), part.charset)
    if part.media_type == "text/html":
        text = _INVISIBLE.sub("", "".join(html_text((text,), unseen=_TITLE)))
    return _one_line(text.strip())[:PREVIEW_LENGTH].rstrip()


def _one_line(text: str) -> str:
    line = text.replace("\r\n", " ")
    if "  " not in line and line.isprintable():  # nearly always, and cheaper than a list of words
        return line
    return clean_value(" ".join(text.split()))
