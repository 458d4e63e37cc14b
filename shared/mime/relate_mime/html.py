"""Extract the visible text of HTML. The tokens are those of the HTML standard (§13.2.5); no tree is built.

Input and output are streamed. Linear for any markup, as each character is scanned at most twice: a token that does not
end in its piece becomes the state for the next one, and its end is never searched for again.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html import unescape

BUFFER_CHARACTERS = 40
"""Buffered at the end of a piece, where a token may begin: no name of the standard is longer."""

_INVISIBLE = frozenset({"script", "style"})
_INLINE = frozenset(  # elements that do not end a word: <b>a</b>b reads as ab, <p>a</p>b as a and b
    (
        *("a", "abbr", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "small"),
        *("span", "strike", "strong", "sub", "sup", "tt", "u", "wbr"),
    )
)

_State = Callable[[str, int], int]
"""Scans a piece from a position, and returns the position after the token, or the end of the piece."""

_OPENING = re.compile(r"<(?:(!--)|!-\Z|(/?)([a-z][^\s/>]{0,31}+)|[!?/]|\Z)", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|[^"'\s>][^\s>]*+(\Z)?))*+""")
_VALUE = re.compile(r"""=\s*+(["']?)""")
_VALUE_END = {'"': re.compile('"'), "'": re.compile("'"), "": re.compile(r"(?=[\s>])")}
_COMMENT_END = re.compile("--!?>")
_BOGUS_COMMENT_END = re.compile(">")
_UNFINISHED_REFERENCE = re.compile(r"&[^\s<&;]*\Z")
_LONG_REFERENCE = re.compile(r"&#(x)?((?(1)[0-9a-f]|[0-9]){8,}+);?", re.IGNORECASE)


def html_text(pieces: Iterable[str], invisible: frozenset[str] = frozenset()) -> Iterator[str]:
    """The text without markup, with character references decoded and a space at the end of each block.

    Omits the content of script, style and the elements `invisible`.
    """
    reader = _Reader(_INVISIBLE | invisible)
    for piece in pieces:
        yield reader.read(piece)
    yield reader.finish()


class _Reader:
    """The tokenizer's state between two pieces: the state function, the buffered characters, the current tag."""

    def __init__(self, invisible: frozenset[str]) -> None:
        self._invisible = invisible
        self._state: _State = self._read_text
        self._buffer = ""  # from the last piece
        self._text: list[str] = []  # visible text of the current piece
        self._tag, self._closes = "", False
        self._end = _COMMENT_END  # of the skipped token,
        self._then: _State = self._read_text  # and the state after it

    def read(self, piece: str) -> str:
        """The visible text of the buffered characters and this piece."""
        text, self._buffer = self._buffer + piece, ""
        position = 0
        while position < len(text):
            position = self._state(text, position)
        visible = "".join(self._text)
        self._text.clear()
        return visible

    def finish(self) -> str:
        """The buffered characters, if they are text: no token was completed."""
        is_text = self._state == self._read_text and (self._buffer == "<" or self._buffer.startswith("&"))
        return _decode_references(self._buffer) if is_text else ""

    def _read_text(self, text: str, start: int) -> int:
        opening = _OPENING.search(text, start)
        if opening is None:
            reference = _UNFINISHED_REFERENCE.search(text, max(start, len(text) - BUFFER_CHARACTERS))
            self._emit(text, start, reference.start() if reference else len(text))
        elif opening.end() == len(text) and not opening[1]:  # more of the name may follow
            self._emit(text, start, opening.start())
        else:
            self._text.append(_decode_references(text[start : opening.start()]))
            return self._open(opening)
        return len(text)

    def _emit(self, text: str, start: int, stop: int) -> None:
        self._text.append(_decode_references(text[start:stop]))
        self._buffer = text[stop:]

    def _open(self, opening: re.Match[str]) -> int:
        is_comment, closes, name = opening.groups()
        if is_comment:
            self._skip(_COMMENT_END, self._read_text)
            return opening.end() - len("--")  # <!--> is a complete comment
        if name is None:
            self._skip(_BOGUS_COMMENT_END, self._read_text)
        else:
            self._tag, self._closes = name.lower(), bool(closes)
            self._state = self._read_attributes
        return opening.end()

    def _read_attributes(self, text: str, start: int) -> int:
        attributes = _ATTRIBUTES.match(text, start)
        position = attributes.end() if attributes else start
        if position == len(text):
            if attributes and attributes[1] is not None:  # a value without quotes, which may go on
                self._skip(_VALUE_END[""], self._read_attributes)
            return position
        if text[position] == ">":
            self._end_tag()
            return position + 1
        value = _VALUE.match(text, position)
        if value is None or (value.end() == len(text) and not value[1]):
            self._buffer = "="
            return len(text)
        if value[1]:
            self._skip(_VALUE_END[value[1]], self._read_attributes)
        return value.end()

    def _end_tag(self) -> None:
        self._state = self._read_text
        if self._tag in self._invisible and not self._closes:
            self._closes = True  # skip to its end tag
            self._skip(_end_tag_of(self._tag), self._read_attributes)
        elif self._tag not in _INLINE:
            self._text.append(" ")

    def _skip(self, end: re.Pattern[str], then: _State) -> None:
        self._state, self._end, self._then = self._read_skipped, end, then

    def _read_skipped(self, text: str, start: int) -> int:
        end = self._end.search(text, start)
        if end is None:
            self._buffer = text[max(start, len(text) - BUFFER_CHARACTERS) :]  # the end may begin here
            return len(text)
        self._state = self._then
        return end.end()


@cache
def _end_tag_of(element: str) -> re.Pattern[str]:
    return re.compile(rf"</{element}(?=[\s/>])", re.IGNORECASE)


def _decode_references(text: str) -> str:
    """Decode character references; one with too many digits is U+FFFD."""
    if "&" not in text:
        return text
    return unescape(_LONG_REFERENCE.sub(_shorten_reference, text))


def _shorten_reference(reference: re.Match[str]) -> str:
    digits = reference[2].lstrip("0") or "0"
    return f"&#{reference[1] or ''}{digits};" if len(digits) < 8 else "\ufffd"
