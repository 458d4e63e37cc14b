"""The rules of the mail model that need no store to be seen at work."""

import time
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.mime import index_message
from relate_mailstore.rules import (
    canonical_name,
    change_entry,
    encode_cursor,
    message_ids,
    name_order,
    parse_cursor,
    position,
    search_text,
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
