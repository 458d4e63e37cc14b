"""Keywords know no case, keep their first spelling, and are not without number."""

import pytest

from relate_mailstore.errors import TooManyKeywords
from relate_mailstore.keywords import (
    MAX_MAILBOX_KEYWORDS,
    MAX_MESSAGE_KEYWORDS,
    change_keywords,
    new_keywords,
    one_spelling,
    spell,
)
from relate_mailstore.types import FlagChange

TWINS = ("Work", "work")


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (FlagChange(), TWINS),
        (FlagChange(add_keywords=("WORK",)), TWINS),
        (FlagChange(add_keywords=("a",)), (*TWINS, "a")),
        (FlagChange(remove_keywords=("work",)), ()),
        (FlagChange(remove_keywords=("WORK",)), ()),
        (FlagChange(add_keywords=("work",), replace=True), TWINS),
        (FlagChange(replace=True), ()),
    ],
)
def test_twins_of_older_versions_stay_and_go_together(change: FlagChange, left: tuple[str, ...]) -> None:
    assert set(change_keywords(TWINS, change)) == set(left)


def many(count: int) -> tuple[str, ...]:
    return tuple(f"k{number}" for number in range(count))


def test_a_message_that_has_too_many_keywords_may_lose_some() -> None:
    older = many(MAX_MESSAGE_KEYWORDS + 5)
    assert len(change_keywords(older, FlagChange(remove_keywords=("k1",)))) == len(older) - 1
    assert len(change_keywords(older, FlagChange(add_keywords=("x",), remove_keywords=("k1",)))) == len(older)
    with pytest.raises(TooManyKeywords):
        change_keywords(older, FlagChange(add_keywords=("x",)))
    with pytest.raises(TooManyKeywords):
        new_keywords(older)


def test_a_mailbox_that_has_too_many_keywords_knows_them_still() -> None:
    older = many(MAX_MAILBOX_KEYWORDS + 5)
    assert spell(("K1", "k2"), older) == ("k1", "k2")
    with pytest.raises(TooManyKeywords):
        spell(("x",), older)


def test_spellings_in_order_the_first_of_each() -> None:
    assert one_spelling(["b", "B", "a"]) == ("a", "b")
    assert spell(("NEW", "new", "Old"), ["old"]) == ("NEW", "NEW", "old")
