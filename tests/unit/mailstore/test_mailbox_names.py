"""Names of mailboxes: INBOX, normal forms, renaming."""

import pytest

from relate_mailstore.errors import InvalidMailboxName, MailboxExists
from relate_mailstore.mailbox_names import (
    MAX_LEVELS,
    MAX_NAME_OCTETS,
    canonical_name,
    deletable_name,
    find_name,
    name_order,
    normalise_new_name,
    renamed_names,
)


def test_only_inbox_is_case_insensitive() -> None:
    assert [canonical_name(name) for name in ("inbox", "Inbox", "sent", "inbox/x", "")] == [
        "INBOX",
        "INBOX",
        "sent",
        "inbox/x",
        "",
    ]


def test_inbox_sorts_first() -> None:
    assert sorted(["Trash", "Archive", "INBOX", "A"], key=name_order) == ["INBOX", "A", "Archive", "Trash"]


def test_inbox_cannot_be_deleted() -> None:
    assert deletable_name("Inbox/x") == "Inbox/x"
    with pytest.raises(ValueError, match="INBOX"):
        deletable_name("iNbOx")


def test_renaming_moves_inferior_names() -> None:
    names = ["a", "a/b", "a/b/c", "ab", "A", "b/a"]
    assert renamed_names(names, "a", "z") == {"a": "z", "a/b": "z/b", "a/b/c": "z/b/c"}
    assert renamed_names(names, "a/b/c/d", "z") == {}


@pytest.mark.parametrize("new", ["b", "ab", "a", "\u00e9", "e\u0301"])
def test_renaming_to_an_existing_name_in_any_normal_form_is_refused(new: str) -> None:
    with pytest.raises(MailboxExists):
        renamed_names(["a", "a/x", "ab", "b/x", "e\u0301"], "a", new)


@pytest.mark.parametrize(
    ("below", "new", "is_refused"),
    [
        ("x" * (MAX_NAME_OCTETS - 4), "new", False),
        ("x" * (MAX_NAME_OCTETS - 4), "newer", True),
        ("x" * (MAX_NAME_OCTETS - 4), "\u00e4\u00e4", True),  # four octets
        ("/".join("x" * (MAX_LEVELS - 1)), "new", False),
        ("/".join("x" * (MAX_LEVELS - 1)), "n/w", True),
    ],
)
def test_renaming_keeps_the_limits_of_inferior_names(below: str, new: str, is_refused: bool) -> None:
    names = ["a", f"a/{below}"]
    if not is_refused:
        assert renamed_names(names, "a", new) == {"a": new, f"a/{below}": f"{new}/{below}"}
        return
    with pytest.raises(InvalidMailboxName) as raised:
        renamed_names(names, "a", new)
    assert raised.value.is_limit


def test_renaming_to_the_own_normal_form_is_possible() -> None:
    assert renamed_names(["e\u0301", "e\u0301/x"], "\u00e9", "\u00e9") == {"e\u0301": "\u00e9", "e\u0301/x": "\u00e9/x"}


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("a", "a"),
        ("e\u0301", "\u00e9"),
        ("\u00e9/x", "e\u0301/x"),
        ("\u00e9/x/y", "e\u0301/x/y"),
        ("b/o\u0308", "b/\u00f6"),
    ],
)
def test_new_name_is_normalised_below_its_existing_parents(name: str, normalised: str) -> None:
    assert normalise_new_name(["e\u0301/z", "b"], name) == normalised


def test_exact_match_is_found_before_another_normal_form() -> None:
    names = ["e\u0301", "\u00e9"]
    assert [find_name(names, name) for name in names] == names
    assert find_name(names[:1], "\u00e9") == "e\u0301"
    assert find_name(names, "e") is None
