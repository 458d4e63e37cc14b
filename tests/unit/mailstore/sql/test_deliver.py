"""The plan of a batch of deliveries, and the rows of its messages: no database."""

import time
from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.deltas import MailboxDelta, MailboxName
from relate_mailstore.sql.schema.tables import PART_OCTETS
from relate_mailstore.sql.write.deliver import INSERT_OCTETS, group_rows, plan_batch, split, target_mailboxes
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mailstore.types import (
    AccountId,
    AssignedUid,
    Delivery,
    Destination,
    Mailbox,
    MailboxId,
    MessageId,
    ModSeq,
    Receipt,
    Uid,
)
from tests.support.examples import examples

ANN, BOB = AccountId(1), AccountId(2)
INBOX = MailboxName(ANN, "INBOX")
FOUND = {
    INBOX: Mailbox(MailboxId(11), ANN, "INBOX", 100, Uid(5), ModSeq(9), "", 4, 40, Uid(5)),
    MailboxName(ANN, "Sent"): Mailbox(MailboxId(12), ANN, "Sent", 101, Uid(1), ModSeq(1), "\\Sent", 0, 0, Uid(1)),
    MailboxName(BOB, "INBOX"): Mailbox(MailboxId(21), BOB, "INBOX", 200, Uid(7), ModSeq(3), "", 0, 0, Uid(1)),
}


def queued(
    number: int, *destinations: Destination, origin: str | None = None, date: int | None = None
) -> QueuedDelivery:
    return QueuedDelivery(Delivery(b"raw", destinations, date, origin), MessageId(UUID(int=number)), {"subject": "s"})


async def test_uids_ascend_in_a_batch_and_each_mailbox_takes_one_modseq() -> None:
    batch = [queued(1, Destination(ANN)), queued(2, Destination(ANN), Destination(BOB))]
    plan = plan_batch(batch, FOUND, now=50)
    anns, bobs = (delta.modseq for delta in plan.dirty_deltas)
    entered = [(row["mailbox_id"], row["uid"], row["modseq"]) for row in plan.entry_rows]
    assert entered == [(11, 5, anns), (11, 6, anns), (21, 7, bobs)]
    assert [(delta.mailbox.id, delta.arrived, delta.octets) for delta in plan.dirty_deltas] == [(11, 2, 6), (21, 1, 3)]


async def test_modseqs_ascend_and_follow_the_clock() -> None:
    before = time.time() * 1000
    mailbox = FOUND[INBOX]
    assert before - 1 <= MailboxDelta(mailbox).modseq <= time.time() * 1000
    ahead = replace(mailbox, highest_modseq=ModSeq(2**62))  # the clock was set back
    assert MailboxDelta(ahead).modseq == 2**62 + 1
    assert MailboxDelta(ahead, modseq_count=3).modseq == 2**62 + 3


async def test_a_delta_gives_the_new_state_of_its_mailbox() -> None:
    plan = plan_batch([queued(1, Destination(ANN)), queued(2, Destination(ANN))], FOUND, now=50)
    (delta,) = plan.dirty_deltas
    after = delta.apply(FOUND[INBOX])
    assert (after.uid_next, after.messages, after.octets, after.highest_modseq) == (7, 6, 46, delta.modseq)
    assert [entry.uid for entry in delta.changed_entries] == [5, 6]
    assert [(entry.message_id.int, entry.size, entry.saved) for entry in delta.changed_entries] == [
        (1, 3, 50),
        (2, 3, 50),
    ]


async def test_receipts_have_uids_in_the_order_of_destinations() -> None:
    batch = [queued(1, Destination(BOB), Destination(ANN, "Sent"), origin="a"), queued(2, Destination(BOB))]
    plan = plan_batch(batch, FOUND, now=50)
    assert plan.results == [
        Receipt(MessageId(UUID(int=1)), (AssignedUid(200, Uid(7)), AssignedUid(101, Uid(1))), batch=2, leader="a"),
        Receipt(MessageId(UUID(int=2)), (AssignedUid(200, Uid(8)),), batch=2, leader="a"),
    ]


async def test_a_notice_has_the_origin_of_the_last_delivery() -> None:
    batch = [queued(1, Destination(ANN), origin="a"), queued(2, Destination(ANN), origin="b")]
    (delta,) = plan_batch(batch, FOUND, now=50).dirty_deltas
    assert delta.notice.origin == "b"


async def test_a_delivery_to_a_missing_mailbox_is_refused_alone() -> None:
    batch = [queued(1, Destination(ANN), Destination(BOB, "Sent")), queued(2, Destination(ANN))]
    plan = plan_batch(batch, FOUND, now=50)
    assert [type(outcome) for outcome in plan.results] == [MailboxNotFound, Receipt]
    assert [row["uid"] for row in plan.entry_rows] == [5]
    assert [one.message_id.int for one in plan.stored] == [2]


async def test_an_account_has_one_message_row_for_several_entries() -> None:
    plan = plan_batch([queued(1, Destination(ANN), Destination(ANN, "Sent"), Destination(BOB))], FOUND, now=50)
    assert [row["account_id"] for row in plan.message_rows] == [ANN, BOB]


async def test_a_delivery_without_a_date_has_the_current_time() -> None:
    plan = plan_batch([queued(1, Destination(ANN)), queued(2, Destination(ANN), date=7)], FOUND, now=50)
    assert (
        [row["internal_date"] for row in plan.entry_rows] == [row["received"] for row in plan.message_rows] == [50, 7]
    )


async def test_inbox_is_one_target_in_any_case() -> None:
    batch = [queued(1, Destination(ANN, "inbox")), queued(2, Destination(ANN, "INBOX"))]
    assert target_mailboxes(batch) == {(ANN, "INBOX")}


@settings(max_examples=examples(30))
@given(st.integers(0, 3), st.integers(-1, 1))
def test_the_parts_of_a_message_concatenate_to_it(parts: int, more: int) -> None:
    raw = bytes(max(0, parts * PART_OCTETS + more))
    rows = list(split(MessageId(UUID(int=1)), raw))
    assert b"".join(row["octets"] for row in rows) == raw
    assert [row["part"] for row in rows] == list(range(max(1, -(-len(raw) // PART_OCTETS))))


def test_a_large_message_is_inserted_by_several_statements() -> None:
    raw = bytes(3 * INSERT_OCTETS)
    octets = [sum(len(row["octets"]) for row in rows) for rows in group_rows(split(MessageId(UUID(int=1)), raw))]
    assert sum(octets) == len(raw)
    assert max(octets) <= INSERT_OCTETS + PART_OCTETS
