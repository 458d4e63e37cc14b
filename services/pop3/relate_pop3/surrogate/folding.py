"""A field in ASCII, folded: text as encoded-words of base64, in lines of at most 76 characters (RFC 2047 §2)."""

import re
from base64 import b64encode
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

LINE_CHARACTERS = 76
WORD_OCTETS = 45
"""Octets of text in an encoded-word: 60 characters of base64, which with what is around them are 72 of 75."""

_AROUND_WORD = len("=?UTF-8?B??=")
_LEAST_OCTETS = 9  # where a line has no room for these, the word begins a new one

_WORDS = re.compile(r"(?<![ \t])([ \t]*+)([^ \t]++)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]++\?[BbQq]\?[^?\s]*+\?=")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++")  # RFC 5322 §3.2.3


class Kind(Enum):
    """How a word is written."""

    PLAIN = "plain"
    ENCODED = "encoded"  # by the sender
    TEXT = "text"  # to be encoded


class Word(NamedTuple):
    """A word, and the white space before it."""

    space: str
    text: str
    kind: Kind


def split_words(text: str, *, in_phrase: bool = False) -> list[Word]:
    """The words of an unfolded text; in a phrase, what is no atom is to be encoded too (RFC 2047 §5 (3))."""
    return [Word(space, word, _kind(word, in_phrase)) for space, word in _WORDS.findall(text)]


def _kind(word: str, in_phrase: bool) -> Kind:
    if _ENCODED_WORD.fullmatch(word):
        return Kind.ENCODED
    plain = _ATOM.fullmatch(word) is not None if in_phrase else word.isascii()
    return Kind.PLAIN if plain else Kind.TEXT


class FoldedBody:
    """The body of a field, written word after word behind the field's name."""

    def __init__(self, name: str) -> None:
        self._pieces = [name]
        self._column = len(name)

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, space: str, token: str) -> None:
        """A token that stays as it is; the line is folded before its space where it does not fit."""
        if space and self._column + len(space) + len(token) > LINE_CHARACTERS:
            self._fold()
        self._write(space + token)

    def add_special(self, special: str) -> None:
        """Punctuation. An encoded-word is separated from it by white space (RFC 2047 §5 (3))."""
        apart = self._pieces[-1].endswith("?=") or self._column + len(special) > LINE_CHARACTERS
        self.add(" " if apart else "", special)

    def add_words(self, words: Iterable[Word]) -> None:
        """Words, those next to each other that are to be encoded as one text.

        Space between encoded-words is not shown (RFC 2047 §6.2): there it is part of the text.
        """
        run: list[str] = []
        space, after_encoded = "", False
        for word in words:
            if word.kind is Kind.TEXT:
                if run:
                    run.append(word.space)
                else:
                    shown = word.space if after_encoded else word.space[1:]
                    space, run = word.space[:1], [shown]
                run.append(word.text)
                continue
            before = word.space
            if run:
                if word.kind is Kind.ENCODED:
                    run.append(before)
                    before = before[:1]
                self.add_text(space, "".join(run))
                run = []
            self.add(before, word.text)
            after_encoded = word.kind is Kind.ENCODED
        if run:
            self.add_text(space, "".join(run))

    def add_text(self, space: str, text: str, opening: str = "", closing: str = "") -> None:
        """A text as encoded-words; `opening` and `closing` are a comment's parentheses."""
        octets, start, before = text.encode(), 0, space + opening
        while start < len(octets):
            end = self._word_end(octets, start, len(before) + len(closing))
            if end - start < min(_LEAST_OCTETS, len(octets) - start) and self._column > 1 and before[:1].isspace():
                self._fold()
                end = self._word_end(octets, start, len(before) + len(closing))
            self._write(f"{before}=?UTF-8?B?{b64encode(octets[start:end]).decode()}?=")
            start, before = end, " "
        if closing:
            self._write(closing)

    def _word_end(self, octets: bytes, start: int, around: int) -> int:
        """Where the text of the next encoded-word ends: no character is cut in two (RFC 2047 §5)."""
        room = (LINE_CHARACTERS - self._column - around - _AROUND_WORD) // 4 * 3
        end = start + max(0, min(room, WORD_OCTETS))
        while start < end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        return min(end, len(octets))

    def _fold(self) -> None:
        self._pieces.append("\r\n")
        self._column = 0

    def _write(self, token: str) -> None:
        self._pieces.append(token)
        self._column += len(token)
