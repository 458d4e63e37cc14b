"""Sanitises HTML of strangers with nh3, which parses as browsers do and writes the tree anew. Pure, and linear."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import nh3

from relate_api.page.html_mail.structure import balance
from relate_api.page.html_mail.styles import safe_style

TAGS = frozenset(
    {
        "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center",
        "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption",
        "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li",
        "main", "mark", "nav", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong",
        "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var",
        "wbr",
    }
)  # fmt: skip
# The text of these is no text of the message.
DROPPED_WITH_CONTENT = frozenset({"script", "style", "title", "template", "noscript", "textarea", "select", "iframe"})
_OF_ALL = frozenset({"dir", "lang", "style", "title"})
_OF_CELLS = frozenset({"align", "bgcolor", "colspan", "height", "rowspan", "valign", "width"})
ATTRIBUTES = {
    "*": set(_OF_ALL),
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "align", "border"},
    "font": {"color", "face", "size"},
    "table": {"align", "bgcolor", "border", "cellpadding", "cellspacing", "height", "width"},
    "td": set(_OF_CELLS),
    "th": set(_OF_CELLS),
    "tr": {"align", "bgcolor", "valign"},
    "col": {"span", "width"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "div": {"align"},
    "p": {"align"},
    "hr": {"width", "size", "color"},
}
SCHEMES = frozenset({"http", "https", "mailto", "cid", "data"})

_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_DATA_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=\s]*+", re.IGNORECASE)
_CID_CHARACTERS = len("cid:")
MAX_INLINE_CHARACTERS = 16 * 1024 * 1024
"""Of the images in the message that the HTML shows: each reference to one repeats it."""


class Sanitised(NamedTuple):
    """Safe HTML, and how many remote images it lacks."""

    html: str
    blocked_images: int


def sanitise(html: str, inline_images: Mapping[str, str], *, remote_images: bool = False) -> Sanitised:
    """Sanitise HTML. `inline_images` are the addresses of images by Content-ID; remote ones stay only if allowed."""
    blocked, room = 0, MAX_INLINE_CHARACTERS

    def inline_image(content_id: str) -> str | None:
        nonlocal room
        address = inline_images.get(content_id)
        if address is None or len(address) > room:
            return None
        room -= len(address)
        return address

    def image(source: str) -> str | None:
        nonlocal blocked
        if source[:_CID_CHARACTERS].lower() == "cid:":
            return inline_image(source[_CID_CHARACTERS:].strip())
        if _REMOTE.match(source):
            if remote_images:
                return source
            blocked += 1
            return None
        return source if _DATA_IMAGE.fullmatch(source) else None

    def attribute(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return safe_style(value) or None
        if (tag, name) == ("a", "href"):
            return value if _LINK.match(value.strip()) else None
        return image(value.strip()) if (tag, name) == ("img", "src") else value

    cleaned = nh3.clean(
        balance(html, ATTRIBUTES, TAGS),
        tags=set(TAGS),
        clean_content_tags=set(DROPPED_WITH_CONTENT),
        attributes=ATTRIBUTES,
        attribute_filter=attribute,
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )
    return Sanitised(cleaned, blocked)
