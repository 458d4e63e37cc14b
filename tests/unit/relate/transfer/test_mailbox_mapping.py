from collections.abc import Sequence

from relate.transfer.mailbox_mapping import MappedMailbox, RemoteMailbox, map_mailboxes

USES = {"\\Sent": "Sent", "\\Trash": "Trash"}


def remote(
    name: str, *attributes: str, delimiter: str = "/", personal: str = "", subscribed: bool = True
) -> RemoteMailbox:
    return RemoteMailbox(name, delimiter, frozenset(attributes), subscribed, personal)


def names(*mailboxes: RemoteMailbox) -> Sequence[tuple[str, str]]:
    return [(mailbox.remote_name, mailbox.name) for mailbox in map_mailboxes(mailboxes, USES)[0]]


def test_the_hierarchy_delimiter_is_converted() -> None:
    assert names(remote("Work.2020", delimiter=".")) == [("Work.2020", "Work/2020")]


def test_a_slash_that_is_no_delimiter_is_replaced() -> None:
    assert names(remote("A/B.C", delimiter=".")) == [("A/B.C", "A\u2215B/C")]


def test_names_of_a_flat_server_are_unchanged() -> None:
    assert names(remote("A.B", delimiter="")) == [("A.B", "A.B")]


def test_the_prefix_of_the_personal_namespace_is_removed() -> None:
    cyrus = [remote(name, delimiter=".", personal="INBOX.") for name in ("INBOX.Sent", "INBOX", "INBOX.a.b")]
    assert names(*cyrus) == [("INBOX", "INBOX"), ("INBOX.Sent", "Sent"), ("INBOX.a.b", "a/b")]


def test_inbox_is_case_insensitive() -> None:
    assert names(remote("Inbox"), remote("inbox/a")) == [("Inbox", "INBOX"), ("inbox/a", "INBOX/a")]


def test_a_special_use_and_its_children_map_to_our_mailbox() -> None:
    exchange = [remote("Sent Items", "\\SENT"), remote("Sent Items/2020"), remote("Sent")]
    assert sorted(names(*exchange)) == [("Sent", "Sent"), ("Sent Items", "Sent"), ("Sent Items/2020", "Sent/2020")]


def test_a_special_use_without_counterpart_is_kept() -> None:
    mapped, _ = map_mailboxes([remote("Starred", "\\FLAGGED")], USES)
    assert mapped == [MappedMailbox("Starred", "Starred", "\\Flagged", True)]


def test_only_the_first_mailbox_with_a_special_use_gets_it() -> None:
    assert names(remote("A", "\\SENT"), remote("B", "\\SENT")) == [("A", "Sent"), ("B", "B")]


def test_unselectable_mailboxes_are_skipped() -> None:
    assert names(remote("[Gmail]", "\\NOSELECT"), remote("[Gmail]/Bin", "\\TRASH")) == [("[Gmail]/Bin", "Trash")]


def test_an_invalid_name_is_reported() -> None:
    mapped, rejected = map_mailboxes([remote("a\x07b"), remote("x" * 2000)], USES)
    assert not mapped
    assert [mailbox.remote_name for mailbox in rejected] == ["a\x07b", "x" * 2000]
