"""Folded header fields in ASCII: text as base64 encoded-words, in lines of at most 76 characters (RFC 2047 §2)."""

import re
from base64 import b64encode
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

MAX_LINE_CHARACTERS = 76
MAX_WORD_OCTETS = 45
"""Octets of text in an encoded-word: 60 characters of base64, and 72 of the 75 allowed with the delimiters."""

_DELIMITER_CHARACTERS = len("=?UTF-8?B??=")
_MIN_WORD_OCTETS = 9  # a line without room for this many is folded before the word

_WORDS = re.compile(r"(?<![ \t])([ \t]*+)([^ \t]++)")
_ENCODED_WORD = re.compile(r"=\?[^?\s]++\?[BbQq]\?[^?\s]*+\?=")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++")  # RFC 5322 §3.2.3


class Kind(Enum):
    """The form in which a word is written."""

    PLAIN = "plain"
    ENCODED = "encoded"  # already, by the sender
    TEXT = "text"  # to be encoded


class Word(NamedTuple):
    """A word and its preceding white space."""

    space: str
    text: str
    kind: Kind


def split_words(text: str, *, in_phrase: bool = False) -> list[Word]:
    """The words of an unfolded text. In a phrase, all words but atoms are encoded (RFC 2047 §5 (3))."""
    return [Word(space, word, _kind(word, in_phrase)) for space, word in _WORDS.findall(text)]


def _kind(word: str, in_phrase: bool) -> Kind:
    if _ENCODED_WORD.fullmatch(word):
        return Kind.ENCODED
    plain = _ATOM.fullmatch(word) is not None if in_phrase else word.isascii()
    return Kind.PLAIN if plain else Kind.TEXT


class FoldedBody:
    """A field under construction: its name, then its body, word by word."""

    def __init__(self, name: str) -> None:
        self._pieces = [name]
        self._column = len(name)

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, space: str, token: str) -> None:
        """Append a token unchanged; the line is folded before its space if it does not fit."""
        if space and self._column + len(space) + len(token) > MAX_LINE_CHARACTERS:
            self._fold()
        self._write(space + token)

    def add_special(self, special: str) -> None:
        """Append punctuation, separated by white space from an encoded-word (RFC 2047 §5 (3))."""
        needs_space = self._pieces[-1].endswith("?=") or self._column + len(special) > MAX_LINE_CHARACTERS
        self.add(" " if needs_space else "", special)

    def add_words(self, words: Iterable[Word]) -> None:
        """Append words; adjacent words that need encoding are encoded as one text.

        Clients ignore space between encoded-words (RFC 2047 §6.2), so it becomes part of the text.
        """
        run: list[str] = []
        space, after_encoded = "", False
        for word in words:
            if word.kind is Kind.TEXT:
                if run:
                    run.append(word.space)
                else:
                    prefix = word.space if after_encoded else word.space[1:]
                    space, run = word.space[:1], [prefix]
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
        """Append a text as encoded-words; `opening` and `closing` are the parentheses of a comment."""
        octets, start, before = text.encode(), 0, space + opening
        while start < len(octets):
            end = self._word_end(octets, start, len(before) + len(closing))
            if end - start < min(_MIN_WORD_OCTETS, len(octets) - start) and self._column > 1 and before[:1].isspace():
                self._fold()
                end = self._word_end(octets, start, len(before) + len(closing))
            self._write(f"{before}=?UTF-8?B?{b64encode(octets[start:end]).decode()}?=")
            start, before = end, " "
        if closing:
            self._write(closing)

    def _word_end(self, octets: bytes, start: int, around: int) -> int:
        """The end of the next encoded-word's text, which splits no character (RFC 2047 §5)."""
        room = (MAX_LINE_CHARACTERS - self._column - around - _DELIMITER_CHARACTERS) // 4 * 3
        end = start + max(0, min(room, MAX_WORD_OCTETS))
        while start < end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        return min(end, len(octets))

    def _fold(self) -> None:
        self._pieces.append("\r\n")
        self._column = 0

    def _write(self, token: str) -> None:
        self._pieces.append(token)
        self._column += len(token)
