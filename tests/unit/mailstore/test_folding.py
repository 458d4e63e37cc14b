"""Folding: text that readers regard as equal folds to the same string, wherever the slices begin."""

import re
from itertools import pairwise
from typing import Literal
from unicodedata import category, combining, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relate_mailstore import folding
from relate_mailstore.folding import _STARTER, collation_key, fold, fold_slices

SPACES = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u3000"
ODD = "ßİıſσςΣﬁｱﾞﾟカÅK\u030a\u0301\u0316\u0345αᾳ\u1100\u1161\u11a8가ㅏ\u00ad\u200d\ufe0f\ufdfa¨´x\U0001d6a4ʹ"
TEXTS = st.text(st.sampled_from(ODD + SPACES + "aZ|") | st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "mu\u0308ller"),  # composed and decomposed
        ("ABC", "ａｂｃ"),  # full width
        ("ガギグ", "ｶﾞｷﾞｸﾞ"),  # half width
        ("IŞIK", "ışık"),  # dotless i
        ("STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),  # final sigma
        ("office", "oﬃce"),  # a ligature
        ("Zusammenarbeit", "Zusammen\u00adarbeit"),  # a soft hyphen
        ("❤", "❤\ufe0f"),
        ("10 km²", "10\xa0KM2"),
        ("가", "\u1100\u1161"),
        ("a b", " a \r\n\tb ".strip()),
        ("ᾳ\u0302", "α\u0302\u0345"),  # the same marks in another order
    ],
)
def test_texts_that_read_the_same_fold_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


def test_letter_does_not_match_the_letter_with_a_mark() -> None:
    assert fold("u") not in fold("u\u0308ber")


@given(TEXTS)
@example("α\u0345\u0302")
@example("Grüße")
def test_folding_is_idempotent_and_ignores_form_case_and_spaces(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(normalize(form, text)) == folded
    assert fold(text.casefold()) == folded
    assert not re.search(r"\s\s|[^\S ]", folded)


@given(st.lists(TEXTS.map(lambda text: text[:60]), min_size=1, max_size=9), st.lists(st.integers(0, 600)))
def test_result_does_not_depend_on_pieces_and_slices(texts: list[str], cuts: list[int]) -> None:
    text = "a".join(texts * 4)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:stop] for start, stop in pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "SLICE_CHARACTERS", folding.RUN_CHARACTERS + 1)
        in_slices = "".join(fold_slices(pieces))
    assert in_slices == fold(text)


def test_starters_never_combine_with_preceding_characters() -> None:
    for code in range(0x110000):
        if _STARTER.match(chr(code)):
            first = fold(f"|{chr(code)}|")[1]
            assert not combining(first), hex(code)
            assert category(first)[0] != "M", hex(code)
            assert not "\u1160" <= first <= "\u11ff", hex(code)
            assert fold("e" + chr(code)) == "e" + fold(f"|{chr(code)}|")[1:-1], hex(code)


def test_long_runs_of_combining_marks_are_normalised_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    def measured(form: Literal["NFC", "NFKC"], text: str) -> str:
        nonlocal longest
        longest = max(longest, len(re.findall("[\u0316\u0301]", text)))
        return normalize(form, text)

    monkeypatch.setattr(folding, "normalize", measured)
    fold("a" + "\u0316\u0301" * 10_000)
    assert 0 < longest <= 2 * folding.RUN_CHARACTERS


def test_brackets_sort_after_letters() -> None:
    subjects = ["_x", "zoo", "Abc", "[only]", "^y", "Übung", "v", "u"]
    assert sorted(subjects, key=lambda text: collation_key(fold(text))) == [
        *("Abc", "u", "Übung", "v", "zoo", "[only]", "^y", "_x")
    ]
