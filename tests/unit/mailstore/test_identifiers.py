"""Identifiers: message ids are ascending UUIDv7s, UIDs end, threads have the id of their root."""

import time
from itertools import islice
from uuid import UUID

import pytest

from relate_mailstore.errors import MailboxFull
from relate_mailstore.identifiers import LAST_UID, MessageId, allocate_uid, generate_message_ids, thread_id
from tests.support.factories import UNKNOWN_MESSAGE


def test_message_ids_contain_the_time_and_ascend() -> None:
    before = time.time_ns() // 1_000_000
    ids = list(islice(generate_message_ids(), 1000))
    assert all(before <= message_id.int >> 80 <= time.time_ns() // 1_000_000 for message_id in ids)
    assert {(message_id.version, message_id.variant) for message_id in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(set(ids))


def test_message_ids_ascend_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", iter([2_000_000_000, 1_000_000_000, 1_000_000_000, 3_000_000_000]).__next__)
    ids = list(islice(generate_message_ids(), 4))
    assert ids == sorted(set(ids))
    assert [message_id.int >> 80 for message_id in ids] == [2000, 2000, 2000, 3000]


def test_uidnext_after_the_last_uid_has_32_bits() -> None:
    assert allocate_uid(LAST_UID) == LAST_UID == 0xFFFF_FFFE
    with pytest.raises(MailboxFull):
        allocate_uid(LAST_UID + 1)


@pytest.mark.parametrize(
    ("references", "header_message_id", "same_as"),
    [
        (("root@a", "x@a"), "own@a", ((), "root@a")),
        ((), "own@a", (("own@a",), "")),
        (("root@a",), "", (("root@a", "y@a"), "z@a")),
    ],
)
def test_thread_id_is_that_of_the_root(
    references: tuple[str, ...], header_message_id: str, same_as: tuple[tuple[str, ...], str]
) -> None:
    thread = thread_id(references, header_message_id, UNKNOWN_MESSAGE)
    assert thread == thread_id(*same_as, MessageId(UUID(int=1)))
    assert thread != thread_id((), "other@a", UNKNOWN_MESSAGE)
    assert len(thread) == 16


def test_message_without_message_id_field_is_a_thread_of_its_own() -> None:
    one, other = MessageId(UUID(int=1)), MessageId(UUID(int=2))
    assert thread_id((), "", one) == thread_id((), "", one) != thread_id((), "", other)
