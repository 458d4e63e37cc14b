"""What a reader sees of HTML, as plain text. The tokens are those of the HTML standard (§13.2.5); no tree is built.

Text comes in pieces and goes on in pieces. Each character is looked at twice at most, whatever the markup: a token that
does not end in its piece is a state for the next one, so that its end is never searched for again.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html import unescape

HELD_CHARACTERS = 40
"""At the end of a piece, what may be the beginning of a token is held back: no name of the standard is longer."""

_UNSEEN = frozenset({"script", "style"})
_INLINE = frozenset(  # elements that do not end a word: <b>a</b>b reads as ab, <p>a</p>b as a and b
    (
        *("a", "abbr", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "s", "small"),
        *("span", "strike", "strong", "sub", "sup", "tt", "u", "wbr"),
    )
)

_State = Callable[[str, int], int]
"""Reads a piece on from a position, and returns how far it came: to the end of a token, or of the piece."""

_OPENING = re.compile(r"<(?:(!--)|!-\Z|(/?)([a-z][^\s/>]{0,31}+)|[!?/]|\Z)", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|[^"'\s>][^\s>]*+(\Z)?))*+""")
_VALUE = re.compile(r"""=\s*+(["']?)""")
_VALUE_END = {'"': re.compile('"'), "'": re.compile("'"), "": re.compile(r"(?=[\s>])")}
_COMMENT_END = re.compile("--!?>")
_BOGUS_COMMENT_END = re.compile(">")
_UNFINISHED_REFERENCE = re.compile(r"&[^\s<&;]*\Z")
_LONG_REFERENCE = re.compile(r"&#(x)?((?(1)[0-9a-f]|[0-9]){8,}+);?", re.IGNORECASE)


def html_text(pieces: Iterable[str], unseen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The text without markup, references decoded, the end of a block as a space.

    What is inside of script, style and the elements `unseen` is left out.
    """
    reader = _Reader(_UNSEEN | unseen)
    for piece in pieces:
        yield reader.read(piece)
    yield reader.finish()


class _Reader:
    """What is between two pieces: the state, what was held back, and the tag that is being read."""

    def __init__(self, unseen: frozenset[str]) -> None:
        self._unseen = unseen
        self._state: _State = self._read_text
        self._held = ""  # of the last piece
        self._seen: list[str] = []  # of this one
        self._tag, self._closes = "", False
        self._end = _COMMENT_END  # of what is skipped,
        self._then: _State = self._read_text  # and the state after it

    def read(self, piece: str) -> str:
        """What is seen of a piece, and of what was held back before it."""
        text, self._held = self._held + piece, ""
        position = 0
        while position < len(text):
            position = self._state(text, position)
        seen = "".join(self._seen)
        self._seen.clear()
        return seen

    def finish(self) -> str:
        """What was held back, and is no token after all."""
        is_text = self._state == self._read_text and (self._held == "<" or self._held.startswith("&"))
        return _decode_references(self._held) if is_text else ""

    def _read_text(self, text: str, start: int) -> int:
        opening = _OPENING.search(text, start)
        if opening is None:
            reference = _UNFINISHED_REFERENCE.search(text, max(start, len(text) - HELD_CHARACTERS))
            self._see(text, start, reference.start() if reference else len(text))
        elif opening.end() == len(text) and not opening[1]:  # more of the name may follow
            self._see(text, start, opening.start())
        else:
            self._seen.append(_decode_references(text[start : opening.start()]))
            return self._open(opening)
        return len(text)

    def _see(self, text: str, start: int, stop: int) -> None:
        self._seen.append(_decode_references(text[start:stop]))
        self._held = text[stop:]

    def _open(self, opening: re.Match[str]) -> int:
        is_comment, closes, name = opening.groups()
        if is_comment:
            self._skip(_COMMENT_END, self._read_text)
            return opening.end() - len("--")  # <!--> is a comment, too
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
            self._held = "="
            return len(text)
        if value[1]:
            self._skip(_VALUE_END[value[1]], self._read_attributes)
        return value.end()

    def _end_tag(self) -> None:
        self._state = self._read_text
        if self._tag in self._unseen and not self._closes:
            self._closes = True  # what is read next is its end tag
            self._skip(_end_tag_of(self._tag), self._read_attributes)
        elif self._tag not in _INLINE:
            self._seen.append(" ")

    def _skip(self, end: re.Pattern[str], then: _State) -> None:
        self._state, self._end, self._then = self._read_skipped, end, then

    def _read_skipped(self, text: str, start: int) -> int:
        end = self._end.search(text, start)
        if end is None:
            self._held = text[max(start, len(text) - HELD_CHARACTERS) :]  # its end may have begun
            return len(text)
        self._state = self._then
        return end.end()


@cache
def _end_tag_of(element: str) -> re.Pattern[str]:
    return re.compile(rf"</{element}(?=[\s/>])", re.IGNORECASE)


def _decode_references(text: str) -> str:
    """Character references decoded; one with more digits than any character has is U+FFFD."""
    if "&" not in text:
        return text
    return unescape(_LONG_REFERENCE.sub(_shorten_reference, text))


def _shorten_reference(reference: re.Match[str]) -> str:
    digits = reference[2].lstrip("0") or "0"
    return f"&#{reference[1] or ''}{digits};" if len(digits) < 8 else "\ufffd"
