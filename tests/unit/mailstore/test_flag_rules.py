"""STORE's effect on flags and keywords."""

import pytest

from relate_mailstore.errors import TooManyKeywords
from relate_mailstore.flag_rules import change_entry, change_keywords
from relate_mailstore.keywords import MAX_MESSAGE_KEYWORDS
from relate_mailstore.types import Entry, FlagChange, ModSeq, Uid
from tests.support.factories import UNKNOWN_MESSAGE

ENTRY = Entry(Uid(1), UNKNOWN_MESSAGE, 100, 0, ("a",), 0, ModSeq(5), 0)
DUPLICATES = ("Work", "work")


def test_change_sets_the_new_modseq() -> None:
    assert change_entry(ENTRY, FlagChange(add=1, add_keywords=("b",)), ModSeq(9)) == ENTRY._replace(
        flags=1, keywords=("a", "b"), modseq=ModSeq(9)
    )


def test_change_without_effect_returns_the_same_entry() -> None:
    assert change_entry(ENTRY, FlagChange(remove=31, add_keywords=("a",)), ModSeq(9)) is ENTRY


def test_replacing_removes_all_other_flags_and_keywords() -> None:
    change = FlagChange(add=2, add_keywords=("b",), replace=True)
    assert change_entry(ENTRY._replace(flags=5), change, ModSeq(9)) == ENTRY._replace(
        flags=2, keywords=("b",), modseq=ModSeq(9)
    )
    same = FlagChange(add=0, add_keywords=("a",), replace=True)
    assert change_entry(ENTRY, same, ModSeq(9)) is ENTRY


@pytest.mark.parametrize(
    ("change", "remaining"),
    [
        (FlagChange(), DUPLICATES),
        (FlagChange(add_keywords=("WORK",)), DUPLICATES),
        (FlagChange(add_keywords=("a",)), (*DUPLICATES, "a")),
        (FlagChange(remove_keywords=("work",)), ()),
        (FlagChange(remove_keywords=("WORK",)), ()),
        (FlagChange(add_keywords=("work",), replace=True), DUPLICATES),
        (FlagChange(replace=True), ()),
    ],
)
def test_duplicate_keywords_of_older_versions_are_removed_together(
    change: FlagChange, remaining: tuple[str, ...]
) -> None:
    assert set(change_keywords(DUPLICATES, change)) == set(remaining)


def test_message_above_the_keyword_limit_may_lose_keywords_but_not_gain_any() -> None:
    keywords = tuple(f"k{number}" for number in range(MAX_MESSAGE_KEYWORDS + 5))
    assert len(change_keywords(keywords, FlagChange(remove_keywords=("k1",)))) == len(keywords) - 1
    assert len(change_keywords(keywords, FlagChange(add_keywords=("x",), remove_keywords=("k1",)))) == len(keywords)
    with pytest.raises(TooManyKeywords):
        change_keywords(keywords, FlagChange(add_keywords=("x",)))
