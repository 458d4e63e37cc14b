"""The rules of the mail model that need no store to be seen at work."""

import time
from itertools import islice
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.errors import MailboxExists, MailboxFull
from relate_mailstore.mime import index_message
from relate_mailstore.rules import (
    LAST_UID,
    canonical_name,
    change_entry,
    encode_cursor,
    find_name,
    give_out,
    message_ids,
    name_order,
    other_than_inbox,
    parse_cursor,
    place_name,
    position,
    renamed_names,
    search_text,
    thread_id,
)
from relate_mailstore.types import AccountId, Entry, FlagChange, Listed, Message, MessageId
from tests.support.factories import UNKNOWN_MESSAGE, multipart

ENTRY = Entry(1, UNKNOWN_MESSAGE, 100, 0, ("a",), 0, 5, 0)


def listed(received: int, message_id: MessageId = UNKNOWN_MESSAGE) -> Listed:
    message = Message(message_id, AccountId(1), index_message(b""), received, None)
    return Listed(message, 0, (), ("INBOX",))


def test_message_ids_hold_the_time_and_ascend() -> None:
    before = time.time_ns() // 1_000_000
    ids = list(islice(message_ids(), 1000))
    assert all(before <= message_id.int >> 80 <= time.time_ns() // 1_000_000 for message_id in ids)
    assert {(message_id.version, message_id.variant) for message_id in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(set(ids))


def test_message_ids_ascend_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", iter([2_000_000_000, 1_000_000_000, 1_000_000_000, 3_000_000_000]).__next__)
    ids = list(islice(message_ids(), 4))
    assert ids == sorted(set(ids))
    assert [message_id.int >> 80 for message_id in ids] == [2000, 2000, 2000, 3000]


def test_the_last_uid_leaves_a_next_one_of_32_bits() -> None:
    assert give_out(LAST_UID) == LAST_UID == 0xFFFF_FFFE
    with pytest.raises(MailboxFull):
        give_out(LAST_UID + 1)


def test_inbox_is_the_only_name_without_case() -> None:
    assert [canonical_name(name) for name in ("inbox", "Inbox", "sent", "inbox/x", "")] == [
        "INBOX",
        "INBOX",
        "sent",
        "inbox/x",
        "",
    ]


def test_inbox_sorts_first() -> None:
    assert sorted(["Trash", "Archive", "INBOX", "A"], key=name_order) == ["INBOX", "A", "Archive", "Trash"]


def test_a_change_gives_a_new_modseq() -> None:
    assert change_entry(ENTRY, FlagChange(add=1, add_keywords=("b",)), 9) == ENTRY._replace(
        flags=1, keywords=("a", "b"), modseq=9
    )


def test_a_change_that_changes_nothing_gives_the_entry_itself() -> None:
    assert change_entry(ENTRY, FlagChange(remove=31, add_keywords=("a",)), 9) is ENTRY


@given(st.integers(-(10**17), 10**17), st.uuids().map(MessageId))
def test_a_cursor_leads_back_to_its_position(received: int, message_id: MessageId) -> None:
    row = listed(received, message_id)
    assert parse_cursor(encode_cursor(row)) == position(row)


@given(st.text(max_size=60))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        parse_cursor(text)


def test_search_text_has_what_lists_show_and_no_case() -> None:
    assert search_text(index_message(multipart("Straße"))).split("\n") == [
        "strasse",
        "ann example <ann@example.org>",
        "bob example <bob@example.net>, <carol@example.com>",
        "jörg <joerg@example.net>",
        "",
        "the figures, grüsse from ann.",
    ]


@pytest.mark.parametrize(
    ("references", "header_id", "same_as"),
    [
        (("root@a", "x@a"), "own@a", ((), "root@a")),
        ((), "own@a", (("own@a",), "")),
        (("root@a",), "", (("root@a", "y@a"), "z@a")),
    ],
)
def test_a_thread_is_that_of_its_root(
    references: tuple[str, ...], header_id: str, same_as: tuple[tuple[str, ...], str]
) -> None:
    thread = thread_id(references, header_id, UNKNOWN_MESSAGE)
    assert thread == thread_id(*same_as, MessageId(UUID(int=1)))
    assert thread != thread_id((), "other@a", UNKNOWN_MESSAGE)
    assert len(thread) == 16


def test_a_message_without_any_id_is_alone_in_its_thread() -> None:
    one, other = MessageId(UUID(int=1)), MessageId(UUID(int=2))
    assert thread_id((), "", one) == thread_id((), "", one) != thread_id((), "", other)


def test_a_name_moves_with_those_below_it() -> None:
    names = ["a", "a/b", "a/b/c", "ab", "A", "b/a"]
    assert renamed_names(names, "a", "z") == {"a": "z", "a/b": "z/b", "a/b/c": "z/b/c"}
    assert renamed_names(names, "a/b/c/d", "z") == {}


@pytest.mark.parametrize("new", ["b", "ab", "a", "\u00e9", "e\u0301"])
def test_no_name_moves_to_one_that_is_there_in_any_normal_form(new: str) -> None:
    with pytest.raises(MailboxExists):
        renamed_names(["a", "a/x", "ab", "b/x", "e\u0301"], "a", new)


def test_a_name_moves_into_its_normal_form() -> None:
    assert renamed_names(["e\u0301", "e\u0301/x"], "\u00e9", "\u00e9") == {"e\u0301": "\u00e9", "e\u0301/x": "\u00e9/x"}


@pytest.mark.parametrize(
    ("name", "placed"),
    [
        ("a", "a"),
        ("e\u0301", "\u00e9"),
        ("\u00e9/x", "e\u0301/x"),
        ("\u00e9/x/y", "e\u0301/x/y"),
        ("b/o\u0308", "b/\u00f6"),
    ],
)
def test_a_new_name_is_in_normal_form_below_names_as_they_are(name: str, placed: str) -> None:
    assert place_name(["e\u0301/z", "b"], name) == placed


def test_the_very_name_is_found_before_one_in_another_form() -> None:
    twins = ["e\u0301", "\u00e9"]
    assert [find_name(twins, name) for name in twins] == twins
    assert find_name(twins[:1], "\u00e9") == "e\u0301"
    assert find_name(twins, "e") is None


def test_inbox_stays() -> None:
    assert other_than_inbox("Inbox/x") == "Inbox/x"
    with pytest.raises(ValueError, match="INBOX"):
        other_than_inbox("iNbOx")


def test_flags_that_are_replaced_keep_nothing() -> None:
    change = FlagChange(add=2, add_keywords=("b",), replace=True)
    assert change_entry(ENTRY._replace(flags=5), change, 9) == ENTRY._replace(flags=2, keywords=("b",), modseq=9)
    same = FlagChange(add=0, add_keywords=("a",), replace=True)
    assert change_entry(ENTRY, same, 9) is ENTRY
