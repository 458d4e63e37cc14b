"""Labels: the keyword of a name is an atom that no other label has."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore.errors import LabelExists
from relate_mailstore.filter_types import Label, LabelStyle
from relate_mailstore.identifiers import AccountId
from relate_mailstore.keywords import key_of
from relate_mailstore.label_rules import MAX_KEYWORD_CHARACTERS, keyword_label, label_id, new_label
from tests.support.examples import examples

ANN, BOB = AccountId(1), AccountId(2)
ATOM = re.compile(r"[A-Za-z0-9$_.+-]{1,64}")


@settings(max_examples=examples(200))
@given(st.lists(st.text(min_size=1, max_size=64), max_size=12), st.lists(st.sampled_from(["a", "A_2", "label"])))
def test_keywords_are_atoms_and_no_two_labels_share_one(names: list[str], in_use: list[str]) -> None:
    labels = [keyword_label(ANN, keyword) for keyword in {key_of(keyword): keyword for keyword in in_use}.values()]
    for name in names:
        try:
            label = new_label(ANN, LabelStyle(name, "#000000"), labels)
        except LabelExists:
            continue
        assert ATOM.fullmatch(label.keyword)
        labels = [*(one for one in labels if one.id != label.id), label]
    keys = [key_of(label.keyword) for label in labels]
    assert len(set(keys)) == len(keys)


def test_a_long_name_gets_a_keyword_within_the_limit() -> None:
    labels: list[Label] = []
    for letter in "abcdefghijk":
        labels.append(new_label(ANN, LabelStyle("ä" * 63 + letter, "#000000"), labels))
    assert max(len(label.keyword) for label in labels) <= MAX_KEYWORD_CHARACTERS
    assert labels[-1].keyword == "a" * 58 + "_11"


def test_an_id_is_of_an_account_and_a_keyword_in_any_case() -> None:
    assert label_id(ANN, "Work") == label_id(ANN, "wORK")
    assert len({label_id(ANN, "work"), label_id(BOB, "work"), label_id(ANN, "works")}) == 3
