"""Keywords are case-insensitive, keep their first spelling, and have limits."""

import pytest

from relate_mailstore.errors import TooManyKeywords
from relate_mailstore.keywords import (
    MAX_MAILBOX_KEYWORDS,
    MAX_MESSAGE_KEYWORDS,
    new_keywords,
    one_spelling,
    spell,
)


def many(count: int) -> tuple[str, ...]:
    return tuple(f"k{number}" for number in range(count))


def test_new_message_above_the_keyword_limit_is_refused() -> None:
    assert new_keywords(many(MAX_MESSAGE_KEYWORDS)) == tuple(sorted(many(MAX_MESSAGE_KEYWORDS)))
    with pytest.raises(TooManyKeywords):
        new_keywords(many(MAX_MESSAGE_KEYWORDS + 5))


def test_mailbox_above_the_keyword_limit_accepts_only_its_own_keywords() -> None:
    existing = many(MAX_MAILBOX_KEYWORDS + 5)
    assert spell(("K1", "k2"), existing) == ("k1", "k2")
    with pytest.raises(TooManyKeywords):
        spell(("x",), existing)


def test_keywords_are_sorted_each_in_its_first_spelling() -> None:
    assert one_spelling(["b", "B", "a"]) == ("a", "b")
    assert spell(("NEW", "new", "Old"), ["old"]) == ("NEW", "NEW", "old")
