"""The names that LIST and LSUB return, and their attributes."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_imap.list_patterns import MailboxTree, matching
from relate_mailstore.types import AccountId, Mailbox, MailboxId, ModSeq, Uid
from tests.support.examples import examples

SPECIAL = {"Sent": "\\Sent", "Work/Drafts": "\\Drafts"}


def mailbox(name: str) -> Mailbox:
    return Mailbox(MailboxId(1), AccountId(1), name, 1, Uid(1), ModSeq(1), SPECIAL.get(name, ""), 0, 0, Uid(1))


def tree(*names: str, subscribed: Sequence[str] = ()) -> MailboxTree:
    return MailboxTree([mailbox(name) for name in names], subscribed)


PATTERNS = [
    ("*", ["INBOX", "INBOX/Old", "Work", "Work/Plans", "Work/Plans/2026"]),
    ("%", ["INBOX", "Work"]),
    ("%/%", ["INBOX/Old", "Work/Plans"]),
    ("inbox", ["INBOX"]),
    ("inbox/%", ["INBOX/Old"]),
    ("work", []),
    ("Work/*", ["Work/Plans", "Work/Plans/2026"]),
    ("*Plans", ["Work/Plans"]),
    ("Work%", ["Work"]),
    ("W.rk", []),
    ("", []),
    ("%%**%", ["INBOX", "INBOX/Old", "Work", "Work/Plans", "Work/Plans/2026"]),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_wildcards(pattern: str, expected: list[str]) -> None:
    names = ["Work", "Work/Plans", "Work/Plans/2026", "INBOX", "INBOX/Old"]
    assert matching(names, [pattern]) == expected


HOSTILE = [
    "*a" * 20 + "b",
    "%a" * 20 + "b",
    "*a%a" * 10 + "b",
    "*a" * 499 + "b*",
    "*" + "a" * 500 + "b*",
    "%*" * 500 + "b",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_do_not_backtrack(pattern: str) -> None:
    """A backtracking matcher would not terminate."""
    assert matching(["a" * 1000, "a" * 999 + "c"], [pattern]) == []
    assert matching(["a" * 999 + "b"], [pattern]) == ["a" * 999 + "b"]


def reference(pattern: str, name: str) -> bool:
    """RFC 9051 §6.3.9 by exhaustive search, for short names only."""
    if not pattern:
        return not name
    head, rest = pattern[0], pattern[1:]
    if head not in "*%":
        return name[:1] == head and reference(rest, name[1:])
    return any(
        reference(rest, name[taken:]) for taken in range(len(name) + 1) if head == "*" or "/" not in name[:taken]
    )


short = st.text(st.sampled_from("ab/"), max_size=8)
wild = st.text(st.sampled_from("ab/*%"), max_size=8)


@settings(max_examples=examples(1000))
@given(st.lists(short, max_size=5, unique=True), st.lists(wild, max_size=3))
def test_matching_equals_reference(names: list[str], patterns: list[str]) -> None:
    expected = [name for name in names if any(reference(pattern, name) for pattern in patterns)]
    assert sorted(matching(names, patterns)) == sorted(expected)


def test_matching_normalises_unicode() -> None:
    composed, decomposed = "Entw\u00fcrfe", "Entwu\u0308rfe"
    assert matching([composed, decomposed], [composed]) == matching([composed, decomposed], [decomposed])
    assert len(matching([composed, decomposed], ["*\u00fcr%"])) == 2


def listed(
    a_tree: MailboxTree, pattern: str = "*", selection: str = "", returning: str = ""
) -> dict[str, tuple[str, ...]]:
    return {one.name: one.attributes for one in a_tree.list([pattern], selection.split(), returning.split())}


def test_parent_without_mailbox_is_listed() -> None:
    assert listed(tree("Lists/Python/Dev"), "%") == {"Lists": ("\\NonExistent", "\\Noselect", "\\HasChildren")}


def test_children_and_special_uses_are_always_listed() -> None:
    assert listed(tree("INBOX", "Sent", "Work", "Work/Drafts")) == {
        "INBOX": ("\\HasNoChildren",),
        "Sent": ("\\HasNoChildren", "\\Sent"),
        "Work": ("\\HasChildren",),
        "Work/Drafts": ("\\HasNoChildren", "\\Drafts"),
    }


def test_subscriptions_are_listed_on_request() -> None:
    names = listed(tree("INBOX", "Sent", subscribed=["Sent"]), returning="SUBSCRIBED")
    assert names == {"INBOX": ("\\HasNoChildren",), "Sent": ("\\HasNoChildren", "\\Sent", "\\Subscribed")}


def test_subscribed_name_without_mailbox_is_listed() -> None:
    names = listed(tree("INBOX", subscribed=["Gone"]), selection="SUBSCRIBED")
    assert names == {"Gone": ("\\NonExistent", "\\Noselect", "\\HasNoChildren", "\\Subscribed")}


def test_special_use_selection() -> None:
    assert list(listed(tree("INBOX", "Sent", "Work/Drafts"), selection="SPECIAL-USE")) == ["Sent", "Work/Drafts"]


def test_recursivematch_lists_parents_of_subscribed() -> None:
    found = list(
        tree("Work", "Work/Plans", "Home", subscribed=["Work/Plans"]).list(["%"], ["SUBSCRIBED", "RECURSIVEMATCH"], [])
    )
    assert [(one.name, one.child_info) for one in found] == [("Work", True)]


LSUB = [
    ("*", {"Work/Plans": (), "Gone": ("\\Noselect",)}),
    ("%", {"Gone": ("\\Noselect",), "Work": ("\\Noselect",)}),
    ("Work/%", {"Work/Plans": ()}),
]


@pytest.mark.parametrize(("pattern", "expected"), LSUB)
def test_lsub_lists_subscribed_or_parent(pattern: str, expected: dict[str, tuple[str, ...]]) -> None:
    a_tree = tree("INBOX", "Work", "Work/Plans", subscribed=["Work/Plans", "Gone"])
    assert {one.name: one.attributes for one in a_tree.lsub([pattern])} == expected
