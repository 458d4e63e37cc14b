"""The addresses of the links of HTML, by the tokens of the HTML standard (§13.2.5); no tree is built.

Pure, and linear: no character is read again, since what has no end lasts to the end of the document.
"""

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5

_LINKS = frozenset({"a", "area"})
_RAW = frozenset(
    {"script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp"}
)  # their content is text
_RAW_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in _RAW}

_MARKUP = re.compile(r"<(?:(!--)|(/?+)([a-zA-Z][^\t\n\f\r />]*+)|[!?/])")
_COMMENT_END = re.compile(r"--!?+>")
_SPACE = r"[\t\n\f\r ]*+"
_NEXT_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    rf"""(?:{_SPACE}={_SPACE}(?:"([^"]*+)"?+|'([^']*+)'?+|([^\t\n\f\r >]*+)))?+"""
)
_TAG_END = re.compile(r"[\t\n\f\r /]*+>")
# §13.2.5.73: in an attribute, a name without a semicolon is none before "=", a letter or a digit: `&region=eu`.
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7}+(?![0-9]);?|#[xX][0-9a-fA-F]{1,6}+(?![0-9a-fA-F]);?|([a-zA-Z][a-zA-Z0-9]{0,31}+(?:;|(?!=))))"
)

_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
# https://url.spec.whatwg.org: line breaks and tabs are removed; these are encoded in a path, a query and a fragment.
_NORMALISED = str.maketrans({"\t": "", "\n": "", "\r": "", " ": "%20", '"': "%22", "<": "%3C", ">": "%3E"})


def find_hrefs(html: str) -> Iterator[str]:
    """The `href` of each `a` and `area`, as a browser reads it. Comments and the content of scripts have none."""
    position = 0
    while (found := _MARKUP.search(html, position)) is not None:
        is_comment, closes, name = found.groups()
        if name is None:
            position = _skip_comment(html, found.end(), is_comment=bool(is_comment))
            continue
        href, position = _read_tag(html, found.end())
        if position < 0:
            return
        element = name.lower()
        if element in _RAW and not closes:
            ended = _RAW_ENDS[element].search(html, position)
            position = ended.start() if ended else len(html)
        elif element in _LINKS and not closes and href is not None:
            yield _decode(href).strip(_CONTROLS_AND_SPACE).translate(_NORMALISED)


def _skip_comment(html: str, start: int, *, is_comment: bool) -> int:
    """The end of a comment, or of what is read as one: a declaration, an instruction."""
    if is_comment:
        ended = _COMMENT_END.search(html, start - len("--"))  # <!--> is a complete comment
        return ended.end() if ended else len(html)
    return html.find(">", start) + 1 or len(html)


def _read_tag(html: str, position: int) -> tuple[str | None, int]:
    """The first `href` of a tag, and the position after the tag: -1 if it has no end, and so is none."""
    href: str | None = None
    while (found := _NEXT_ATTRIBUTE.match(html, position)) is not None:
        position = found.end()
        if href is None and found[1].lower() == "href":
            href = found[2] or found[3] or found[4] or ""
    end = _TAG_END.match(html, position)
    return href, end.end() if end else -1


def _decode(value: str) -> str:
    return _REFERENCE.sub(_decode_reference, value)


def _decode_reference(found: re.Match[str]) -> str:
    return unescape(found[0]) if found[1] is None else html5.get(found[1], found[0])
