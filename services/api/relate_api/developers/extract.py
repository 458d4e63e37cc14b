"""What a test wants of a message's text: the links to follow, and the codes to type. Pure, linear in the text."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from relate_api.developers.hrefs import find_hrefs
from relate_mime.html import html_text

MAX_ITEMS = 100  # links, and codes, of one message

# No URL contains the quotes and the punctuation that end a sentence or a phrase around it.
_URL = re.compile(
    r"https?://(?=[^\W_]|\[)[^\s<>\"\\^`{|}“”„‘’«»‹›…、。，．；：！？（）［］「」『』【】〈〉《》]+",
    re.IGNORECASE,
)
_HTTP = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_TRAILING = ".,;:!?'"  # punctuation of the sentence around a link
_EMPHASIS = "*_"  # of a link as a whole: _https://example.org/a_
# ASCII only, because letters of scripts without spaces stand directly beside a code.
_CODE = re.compile(
    r"(?<![A-Za-z0-9_.,/+-])(?:"
    r"(?:[A-Z]{1,3}-)?([0-9]{4,10})"
    r"|(?<![0-9][ ])([0-9]{3})[ -]([0-9]{3})(?![ ][0-9])"
    r"|((?=[A-Z-]{0,40}[0-9])[A-Z0-9]{4,10}(?:-[A-Z0-9]{4,10}){0,3})"
    r")(?![A-Za-z0-9_/@-]|[.,][0-9])"
)
# Spaces that do not break, or are narrow, and hyphens: figures are grouped by them.
_PLAIN = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u2009": " ", "\u202f": " ", "\u2010": "-", "\u2011": "-"})


def find_links(text: str | None, html: str | None) -> list[str]:
    """The distinct http(s) URLs of the plain text, then those of the links of the HTML; at most MAX_ITEMS."""
    return _distinct(_links(text or "", html or ""))


def find_codes(subject: str, text: str | None, html: str | None) -> list[str]:
    """The distinct codes of the subject, then of the plain text, or of the HTML's visible text; at most MAX_ITEMS.

    A code is 4 to 10 digits, without a prefix of up to three capitals and a hyphen; two groups of three digits, which
    are joined; or one to four groups of 4 to 10 capitals and digits, with hyphens. Links are left out.
    """
    body = text if text and not text.isspace() else "".join(html_text([html or ""]))
    return _distinct(
        "".join(filter(None, found.groups()))
        for part in (subject, body)
        for found in _CODE.finditer(_URL.sub(" ", part).translate(_PLAIN))
    )


def _links(text: str, html: str) -> Iterator[str]:
    for found in _URL.finditer(text):
        before, after = text[max(found.start() - 1, 0) : found.start()], text[found.end() : found.end() + 1]
        # RFC 3986, appendix C: between angle brackets the URL is complete.
        yield found[0] if (before, after) == ("<", ">") else _without_punctuation(found[0], before)
    yield from filter(_HTTP.match, find_hrefs(html))


def _without_punctuation(url: str, before: str) -> str:
    """A URL of plain text without what belongs to its sentence: `(see https://example.org/a).`

    A closing parenthesis belongs to the URL if that has the opening one.
    """
    trailing = _TRAILING + (before if before in _EMPHASIS else "")
    surplus = {close: url.count(close) - url.count(opening) for opening, close in ("()", "[]")}
    end = len(url)
    while url[end - 1] in trailing or surplus.get(url[end - 1], 0) > 0:
        end -= 1
        if url[end] in surplus:
            surplus[url[end]] -= 1
    return url[:end]


def _distinct(found: Iterable[str]) -> list[str]:
    return list(islice(dict.fromkeys(found), MAX_ITEMS))
