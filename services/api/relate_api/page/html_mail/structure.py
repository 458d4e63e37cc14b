"""Writes HTML of strangers anew with balanced elements of bounded depth. Pure, and linear in the text.

It makes nothing safe: the sanitiser does. HTML's own algorithm takes quadratic time, and quadratic memory, for elements
that are not closed, because it opens them again in each paragraph that follows. It has nothing to repair in this text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from html import escape, unescape

MAX_DEPTH = 100
"""Elements within each other; beyond it only their content remains."""

_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
# Their content is no HTML; without an end they last to the end of the document.
_RAW = frozenset(
    {"script", "style", "title", "textarea", "iframe", "noscript", "noembed", "noframes", "xmp", "template"}
)
_RAW_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE | re.ASCII) for name in _RAW}
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl", "dt", "figcaption",
        "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
        "section", "summary", "table", "ul",
    }
)  # fmt: skip
_CELLS = frozenset({"td", "th"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_TABLE_PARTS = frozenset({"caption", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"})
_SCOPES = _CELLS | {"table", "caption"}
_IMPLIED: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "a": (frozenset({"a"}), _SCOPES),
    "li": (frozenset({"li"}), _SCOPES | {"ul", "ol"}),
    **dict.fromkeys(("dt", "dd"), (frozenset({"dt", "dd"}), _SCOPES | {"dl"})),
    **dict.fromkeys(_CELLS, (_CELLS | {"caption"}, frozenset({"table"}))),
    "tr": (_CELLS | {"tr", "caption"}, frozenset({"table"})),
    **dict.fromkeys(("thead", "tbody", "tfoot"), (_TABLE_PARTS, frozenset({"table"}))),
    **dict.fromkeys(_HEADINGS, (_HEADINGS, _SCOPES)),
}
"""Which open elements a new one ends, and the elements within which they are sought."""

_TAG = re.compile(r"<(/?+)([a-zA-Z][^\s/>\0]*+)")
_COMMENT_END = re.compile(r"--!?+>")
_OTHER = re.compile(r"<[!?/]")
_TAG_ATTRIBUTE = re.compile(r"""[\s/]*+([^\s/>=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?+""")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}+|#[xX][0-9a-fA-F]{1,6}+|[a-zA-Z][a-zA-Z0-9]{1,31}+);")
_REST_OF_TAG = re.compile(r"[^>]*+>?+")


class _Writer:
    """The text that is written, and the elements that are open."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.stack: list[str] = []
        self._open = Counter[str]()  # how many of each name, so that most searches of the stack are not needed

    def open(self, name: str, attributes: str) -> None:
        if name in _BLOCKS:
            self._end_implied(frozenset({"p"}), _SCOPES)
        if name in _IMPLIED:
            self._end_implied(*_IMPLIED[name])
        if name in _VOID:
            self.pieces.append(f"<{name}{attributes}>")
        elif len(self.stack) < MAX_DEPTH:
            self.stack.append(name)
            self._open[name] += 1
            self.pieces.append(f"<{name}{attributes}>")

    def close(self, name: str) -> None:
        """Close an element with those in it; what is not open is ignored."""
        if self._open[name]:
            while self._end_innermost() != name:
                pass

    def _end_implied(self, ended: frozenset[str], within: frozenset[str]) -> None:
        """End the outermost of these elements that is open within the innermost of those."""
        if not any(self._open[name] for name in ended):
            return
        found = None
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] in within:
                break
            if self.stack[position] in ended:
                found = position
        while found is not None and len(self.stack) > found:
            self._end_innermost()

    def _end_innermost(self) -> str:
        name = self.stack.pop()
        self._open[name] -= 1
        self.pieces.append(f"</{name}>")
        return name


def balance(html: str, attributes: Mapping[str, set[str]], tags: frozenset[str]) -> str:
    """The HTML with these elements and attributes only; `attributes` are by element, those of all by `*`."""
    writer, position = _Writer(), 0
    text = html.replace("\0", "")
    while (start := text.find("<", position)) >= 0:
        writer.pieces.append(_as_text(text[position:start]))
        found = _TAG.match(text, start)
        if found is None:
            position = _skip_other(text, start, writer)
            continue
        name, end = found[2].lower(), found.end()
        shown, position = _read_attributes(text, end, attributes.get("*", set()) | attributes.get(name, set()))
        if name in _RAW and not found[1]:
            ended = _RAW_ENDS[name].search(text, position)
            position = ended.start() if ended else len(text)
        elif name in tags and found[1]:
            writer.close(name)
        elif name in tags:
            writer.open(name, shown)
    writer.pieces.append(_as_text(text[position:]))
    for name in reversed(writer.stack):
        writer.pieces.append(f"</{name}>")
    return "".join(writer.pieces)


def _as_text(text: str) -> str:
    # References are read here, because the sanitiser's parser takes quadratic time for ampersands that begin none.
    return escape(unescape(text), quote=False)


def _skip_other(text: str, start: int, writer: _Writer) -> int:
    """The end of a comment, a declaration or an instruction; any other `<` is text."""
    if text.startswith("<!--", start):
        ended = _COMMENT_END.search(text, start + 2)
        return ended.end() if ended else len(text)
    if _OTHER.match(text, start):
        return text.find(">", start) + 1 or len(text)
    writer.pieces.append("&lt;")
    return start + 1


def _read_attributes(text: str, start: int, allowed: set[str]) -> tuple[str, int]:
    """The allowed attributes of a tag as they are written, and the position after the tag.

    In values only references with a semicolon are read: `&copy=` may be the next parameter of an address.
    """
    kept: dict[str, str] = {}
    position = start
    while (found := _TAG_ATTRIBUTE.match(text, position)) is not None:
        position = found.end()
        name = found[1].lower()
        if name in allowed and name not in kept:
            value = next((group for group in found.groups()[1:] if group is not None), "")
            kept[name] = escape(_REFERENCE.sub(lambda found: unescape(found[0]), value))
    end = _REST_OF_TAG.match(text, position)
    written = "".join(f' {escape(name)}="{value}"' for name, value in kept.items())
    return written, end.end() if end else len(text)
