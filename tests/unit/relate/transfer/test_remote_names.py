from collections.abc import Sequence

from relate.transfer.remote_names import Listed, Target, map_names

USES = {"\\Sent": "Sent", "\\Trash": "Trash"}


def listed(name: str, *attributes: str, delimiter: str = "/", personal: str = "", subscribed: bool = True) -> Listed:
    return Listed(name, delimiter, frozenset(attributes), subscribed, personal)


def names(*found: Listed) -> Sequence[tuple[str, str]]:
    return [(target.there, target.name) for target in map_names(found, USES)[0]]


def test_another_delimiter_becomes_ours() -> None:
    assert names(listed("Work.2020", delimiter=".")) == [("Work.2020", "Work/2020")]


def test_a_slash_that_separates_nothing_makes_no_level() -> None:
    assert names(listed("A/B.C", delimiter=".")) == [("A/B.C", "A\u2215B/C")]


def test_a_flat_server_has_no_delimiter() -> None:
    assert names(listed("A.B", delimiter="")) == [("A.B", "A.B")]


def test_the_prefix_of_the_personal_namespace_is_left_out() -> None:
    cyrus = [listed(name, delimiter=".", personal="INBOX.") for name in ("INBOX.Sent", "INBOX", "INBOX.a.b")]
    assert names(*cyrus) == [("INBOX", "INBOX"), ("INBOX.Sent", "Sent"), ("INBOX.a.b", "a/b")]


def test_inbox_is_one_in_any_case() -> None:
    assert names(listed("Inbox"), listed("inbox/a")) == [("Inbox", "INBOX"), ("inbox/a", "INBOX/a")]


def test_a_special_use_goes_where_ours_is_with_what_is_below() -> None:
    exchange = [listed("Sent Items", "\\SENT"), listed("Sent Items/2020"), listed("Sent")]
    assert sorted(names(*exchange)) == [("Sent", "Sent"), ("Sent Items", "Sent"), ("Sent Items/2020", "Sent/2020")]


def test_a_special_use_that_we_have_not_is_kept() -> None:
    targets, _ = map_names([listed("Starred", "\\FLAGGED")], USES)
    assert targets == [Target("Starred", "Starred", "\\Flagged", True)]


def test_only_the_first_of_two_mailboxes_with_a_use_has_it() -> None:
    assert names(listed("A", "\\SENT"), listed("B", "\\SENT")) == [("A", "Sent"), ("B", "B")]


def test_names_without_messages_are_left_out() -> None:
    assert names(listed("[Gmail]", "\\NOSELECT"), listed("[Gmail]/Bin", "\\TRASH")) == [("[Gmail]/Bin", "Trash")]


def test_a_name_that_we_refuse_is_told() -> None:
    targets, refusals = map_names([listed("a\x07b"), listed("x" * 2000)], USES)
    assert not targets
    assert [refusal.there for refusal in refusals] == ["a\x07b", "x" * 2000]
