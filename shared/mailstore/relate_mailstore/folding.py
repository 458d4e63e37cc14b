"""Case folding for searches, which ignore case, Unicode normal form, width and white space. Pure.

`fold` is NFKC_Casefold of Unicode (Standard Annex 31, chapter 3.13 of the core specification), with the dotless ı as i
(i;unicode-casemap, RFC 5051), and any run of white space as one space. The result is composed: `u` does not match `ü`.

Text is folded in slices, because a call of `unicodedata` holds the GIL until it returns. A slice begins at a starter
that never combines with preceding characters, so the result does not depend on the slices.
"""

import re
from collections.abc import Iterable, Iterator
from unicodedata import normalize

SLICE_CHARACTERS = 2_048
"""Folded per call: at worst 4 ms, for U+FDFA, which expands to 18 characters."""

RUN_CHARACTERS = 128
"""The longest run without a starter that is normalized in one piece, because sorting combining marks is quadratic. No
script needs as many."""

# Characters that are starters, never compose with preceding ones, and still so after folding (unlike U+00AD).
_STARTERS = (
    "\0-\xac\xae-\u02ff\u0370-\u0373\u0386-\u0482\u048a-\u052f\u0531-\u0556\u0561-\u0587\u05d0-\u05ea"  # … to Hebrew
    "\u0620-\u064a\u0660-\u066f\u0671-\u06d3\u0904-\u0939\u0985-\u09b9\u0a85-\u0ab9\u0b85-\u0bb9\u0c05-\u0c39"
    "\u0c85-\u0cb9\u0d05-\u0d39\u0e01-\u0e30\u0e81-\u0eb0\u0f40-\u0f6c\u1000-\u102a\u10d0-\u10ff\u1200-\u1248"
    "\u1780-\u17b3\u1e00-\u1f15\u2010-\u2027\u2030-\u205f\u3001-\u3029\u3041-\u3096\u30a1-\u30fa\u3105-\u312f"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9d\U0001f300-\U0001f3fa\U0001f400-\U0001faff"
)
_STARTER = re.compile(f"[{_STARTERS}]")
_LONG_RUN = re.compile(f"[^{_STARTERS}]{{{RUN_CHARACTERS}}}")

_IGNORABLE = re.compile(  # Default_Ignorable_Code_Point: soft hyphens, joiners, variation selectors …
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)


def fold(text: str) -> str:
    """The folded text. Idempotent: folding it again changes nothing."""
    return _fold_slice(text) if len(text) <= SLICE_CHARACTERS else "".join(fold_slices((text,)))


def fold_slices(pieces: Iterable[str]) -> Iterator[str]:
    """Fold a text that arrives in pieces; the concatenated result does not depend on the pieces."""
    after_space = False
    for piece in _cut(pieces):
        folded = _fold_slice(piece)
        if after_space:
            folded = folded.removeprefix(" ")
        if folded:
            after_space = folded[-1] == " "
            yield folded


def collation_key(folded: str) -> str:
    """The sort key of folded text in i;unicode-casemap (RFC 5051): capitals, decomposed, by code point.

    `[` and `_` sort after the letters, and `ü` next to `u`.
    """
    return "".join(normalize("NFD", run) for run in _runs(folded.upper()))


def _cut(pieces: Iterable[str]) -> Iterator[str]:
    """Re-split the text into slices that can be folded independently."""
    rest = ""
    for piece in pieces:
        rest += piece
        start = 0
        while len(rest) - start > SLICE_CHARACTERS:
            stop = _slice_end(rest, start + SLICE_CHARACTERS)
            yield rest[start:stop]
            start = stop
        rest = rest[start:]
    if rest:
        yield rest


def _slice_end(text: str, stop: int) -> int:
    """The last position up to `stop` at which a slice can begin; `stop` if the run without a starter is too long."""
    positions = range(stop, stop - RUN_CHARACTERS, -1)
    return next((position for position in positions if _STARTER.match(text, position)), stop)


def _fold_slice(text: str) -> str:
    folded = text.lower() if text.isascii() else "".join(map(_casefold, _runs(text)))
    return " ".join(f"|{folded}|".split())[1:-1]  # the bars preserve leading and trailing space


def _runs(text: str) -> Iterator[str]:
    """The text, split where a run without a starter is too long."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    yield text[start:]


def _casefold(text: str) -> str:
    text = normalize(
        "NFKC", text
    )  # before casefold, which turns U+0345 into a letter: its position must be canonical by then
    while (folded := normalize("NFKC", _IGNORABLE.sub("", text.casefold()).replace("ı", "i"))) != text:
        text = folded
    return text
