"""Message numbers, marks, and prefetch."""

from uuid import UUID

import pytest

from relate_mailstore.entry_list import EntryList
from relate_mailstore.types import INBOX, AccountId, Entry, Flag, Mailbox, MailboxId, MessageId, ModSeq, Snapshot, Uid
from relate_pop3.maildrop import Maildrop, NoSuchMessage


def message_id(uid: int) -> MessageId:
    return MessageId(UUID(int=uid))


def maildrop(*sizes: int, flags: int = 0) -> Maildrop:
    """A maildrop with messages of these sizes, with UIDs 101, 102, …"""
    mailbox = Mailbox(MailboxId(2), AccountId(1), INBOX, 77, Uid(999), ModSeq(5), "", len(sizes), sum(sizes), Uid(1))
    entries = tuple(
        Entry(Uid(uid), message_id(uid), size, flags, (), 0, ModSeq(1), 0) for uid, size in enumerate(sizes, 101)
    )
    return Maildrop(Snapshot(mailbox, EntryList(entries)))


def test_deleted_messages_are_not_counted_and_numbers_are_stable() -> None:
    drop = maildrop(10, 20, 30)
    drop.mark_deleted(2)

    assert (len(drop), drop.octets) == (2, 40)
    assert [*drop.sizes()] == ["1 10", "3 30"]
    assert drop.entry(3).uid == 103
    assert drop.deleted() == [102]


def test_unmarking_restores_deleted_messages() -> None:
    drop = maildrop(10, 20)
    drop.mark_deleted(1)
    drop.unmark_deleted()

    assert len(drop) == 2
    assert drop.deleted() == []


@pytest.mark.parametrize("number", [0, 3, 10**10])
def test_number_out_of_range_raises(number: int) -> None:
    drop = maildrop(10, 20)

    with pytest.raises(NoSuchMessage):
        drop.entry(number)
    with pytest.raises(NoSuchMessage):
        drop.mark_deleted(number)


@pytest.mark.parametrize(("sizes", "text"), [((), "0 messages (0 octets)"), ((9,), "1 message (9 octets)")])
def test_summary_has_count_and_octets(sizes: tuple[int, ...], text: str) -> None:
    assert str(maildrop(*sizes)) == text


def test_unique_id_is_short_printable_ascii() -> None:
    unique = maildrop(1).unique_id(Entry(Uid(2**32 - 1), message_id(1), 1, 0, (), 0, ModSeq(1), 0))

    assert unique == "77.4294967295"
    assert len(unique) <= 70


def test_retrieved_and_not_deleted_messages_are_newly_seen() -> None:
    drop = maildrop(1, 2, 3)
    for number in (3, 1, 2, 2):
        drop.mark_retrieved(number)
    drop.mark_deleted(2)

    assert drop.newly_seen() == [101, 103]


def test_message_already_seen_is_not_newly_seen() -> None:
    drop = maildrop(1, flags=Flag.SEEN | Flag.FLAGGED)
    drop.mark_retrieved(1)

    assert drop.newly_seen() == []


def test_next_messages_are_prefetched_in_batches() -> None:
    drop = maildrop(*[100] * 100)

    batches = [batch for number in range(1, 101) if (batch := drop.upcoming(number))]

    assert [len(batch) for batch in batches] == [64, 32, 3]
    assert [identity for batch in batches for identity in batch] == [
        drop.entry(number).message_id for number in range(2, 101)
    ]
