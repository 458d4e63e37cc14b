"""The query language of `q`: operators, quoted phrases, negation, bare words. Pure, and linear in the text.

    from:ann subject:"annual report" -label:done has:attachment larger:1M after:2026-11-01 budget

This module knows the syntax, `criteria` the values. Terms are separated by white space, and all of them must match. A
value with white space is quoted, and a quotation mark in it is escaped by a backslash. `-` before a term negates it. A
word without an operator is text, in any field.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_TERMS = 50
"""Each is a condition of one SQL statement."""

OPERATORS = frozenset(
    {"from", "to", "cc", "subject", "has", "is", "in", "label", "before", "after", "larger", "smaller"}
)

_SPACE = re.compile(r"\s*+")
_OPERATOR = re.compile(r"([A-Za-z]++):")
_PHRASE = re.compile(r'"((?:[^"\\]|\\.)*+)"(?!\S)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WORD = re.compile(r"\S++")


class QueryError(ValueError):
    """The query is not valid. `position` is that of the character, from 0; the text quotes nothing of the query."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.position = position


class Term(NamedTuple):
    """A term: an operator in lower case, "" for text; its value, and the position of the value."""

    operator: str
    value: str
    negated: bool
    position: int


def parse_query(text: str) -> tuple[Term, ...]:
    """The terms of a query. Raises QueryError."""
    return tuple(_terms(text))


def _terms(text: str) -> Iterator[Term]:
    position = _skip_space(text, 0)
    count = 0
    while position < len(text):
        count += 1
        if count > MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", position)
        negated = text[position] == "-" and bool(text[position + 1 : position + 2].strip())  # else a dash is text
        position += negated
        operator, position = _read_operator(text, position)
        value, end = _read_value(text, position, operator)
        yield Term(operator, value, negated, position)
        position = _skip_space(text, end)


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _read_operator(text: str, position: int) -> tuple[str, int]:
    found = _OPERATOR.match(text, position)
    if found is None:
        return "", position
    operator = found[1].lower()
    if operator not in OPERATORS:
        known = ", ".join(f"{name}:" for name in sorted(OPERATORS))
        raise QueryError(f"this operator is unknown: quote a text with a colon, or use one of {known}", position)
    return operator, found.end()


def _read_value(text: str, position: int, operator: str) -> tuple[str, int]:
    if text.startswith('"', position):
        phrase = _PHRASE.match(text, position)
        if phrase is None:
            raise QueryError("the quotation mark is not closed, or no space follows it", position)
        value, end = _ESCAPED.sub(r"\1", phrase[1]), phrase.end()
    else:
        word = _WORD.match(text, position)
        value, end = (word[0], word.end()) if word else ("", position)
    if not value.strip():
        raise QueryError("the operator has no value" if operator else "the phrase is empty", position)
    return value, end
