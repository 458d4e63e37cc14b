"""What a test wants of a message's text: the links to follow, and the codes to type. Pure, linear in the text."""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import islice

from relate_mime.html import html_text

MAX_ITEMS = 100  # links, and codes, of one message

_URL = re.compile(r"https?://[^\s<>\"\\^`{|}]+", re.IGNORECASE)
_TRAILING = ".,;:!?'*_"  # punctuation of the sentence around a link
# No match contains "<", so that the search for the end of one tag ends at the next.
_HREF = re.compile(
    r"""<a\s(?:[^<>]*?\s)?href\s*+=\s*+(?:"([^"<>]*+)"|'([^'<>]*+)'|([^\s"'<>]++))""",
    re.IGNORECASE,
)
# Digits, at once or in two groups; or capitals and digits with at least one digit, in groups of four and more.
_CODE = re.compile(
    r"(?<![\w.,/+-])(?:[0-9]{4,10}|[0-9]{3}[ -][0-9]{3}|(?=[A-Z-]{0,40}[0-9])[A-Z0-9]{4,10}(?:-[A-Z0-9]{4,10}){0,3})"
    r"(?![\w/@-]|[.,][0-9])"
)
_TWO_GROUPS = re.compile(r"([0-9]{3})[ -]([0-9]{3})")


def find_links(text: str | None, html: str | None) -> list[str]:
    """The distinct http(s) URLs of the plain text, then those of the links of the HTML; at most MAX_ITEMS."""
    return _distinct(_links(text or "", html or ""))


def find_codes(subject: str, text: str | None, html: str | None) -> list[str]:
    """The distinct codes of the subject, then of the plain text, or of the HTML's visible text; at most MAX_ITEMS.

    Two groups of three digits are one code without the space or hyphen. Links are left out.
    """
    body = "".join(html_text([html])) if text is None and html is not None else text or ""
    return _distinct(
        _TWO_GROUPS.sub(r"\1\2", found[0]) for part in (subject, body) for found in _CODE.finditer(_URL.sub(" ", part))
    )


def _links(text: str, html: str) -> Iterator[str]:
    for found in _URL.finditer(text):
        yield _without_punctuation(found[0])
    for found in _HREF.finditer(html):
        url = unescape(next(filter(None, found.groups()), "")).strip()
        if _URL.fullmatch(url):
            yield url


def _without_punctuation(url: str) -> str:
    """A URL of plain text without what belongs to its sentence: `(see https://example.org/a).`"""
    closing = "".join(close for opening, close in ("()", "[]") if opening not in url)
    return url.rstrip(_TRAILING + closing)


def _distinct(found: Iterable[str]) -> list[str]:
    return list(islice(dict.fromkeys(found), MAX_ITEMS))
