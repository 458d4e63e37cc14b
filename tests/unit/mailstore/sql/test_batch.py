"""What a batch does to its mailboxes, decided without a database."""

import time
from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.mailboxes import Step
from relate_mailstore.sql.schema.tables import PART_OCTETS
from relate_mailstore.sql.write.deliver import PORTION_OCTETS, places, plan_batch, portions, split
from relate_mailstore.sql.write.group_commit import Accepted
from relate_mailstore.types import AccountId, AssignedUid, Delivery, Destination, Mailbox, MailboxId, MessageId, Receipt
from tests.support.examples import examples

ANN, BOB = AccountId(1), AccountId(2)
FOUND = {
    (ANN, "INBOX"): Mailbox(MailboxId(11), ANN, "INBOX", 100, 5, 9, "", 4, 40, 5),
    (ANN, "Sent"): Mailbox(MailboxId(12), ANN, "Sent", 101, 1, 1, "\\Sent", 0, 0, 1),
    (BOB, "INBOX"): Mailbox(MailboxId(21), BOB, "INBOX", 200, 7, 3, "", 0, 0, 1),
}


def accepted(number: int, *destinations: Destination, origin: str | None = None, date: int | None = None) -> Accepted:
    return Accepted(Delivery(b"raw", destinations, date, origin), MessageId(UUID(int=number)), {"subject": "s"})


async def test_uids_ascend_within_a_batch_and_each_mailbox_takes_one_modseq() -> None:
    batch = [accepted(1, Destination(ANN)), accepted(2, Destination(ANN), Destination(BOB))]
    plan = plan_batch(batch, FOUND, now=50)
    anns, bobs = (step.modseq for step in plan.taken)
    entered = [(row["mailbox_id"], row["uid"], row["modseq"]) for row in plan.entries]
    assert entered == [(11, 5, anns), (11, 6, anns), (21, 7, bobs)]
    assert [(step.mailbox.id, step.arrived, step.octets) for step in plan.taken] == [(11, 2, 6), (21, 1, 3)]


async def test_modseqs_ascend_and_are_never_given_again_though_some_were_lost() -> None:
    before = time.time() * 1000
    mailbox = FOUND[ANN, "INBOX"]
    assert before - 1 <= Step(mailbox).modseq <= time.time() * 1000
    ahead = replace(mailbox, highest_modseq=2**62)  # the clock went back
    assert Step(ahead).modseq == 2**62 + 1
    assert Step(ahead, modseqs=3).modseq == 2**62 + 3


async def test_a_step_tells_what_the_mailbox_is_after_it() -> None:
    plan = plan_batch([accepted(1, Destination(ANN)), accepted(2, Destination(ANN))], FOUND, now=50)
    (step,) = plan.taken
    after = step.apply(FOUND[ANN, "INBOX"])
    assert (after.uid_next, after.messages, after.octets, after.highest_modseq) == (7, 6, 46, step.modseq)
    assert [entry.uid for entry in step.entries] == [5, 6]
    assert [(entry.message_id.int, entry.size, entry.saved) for entry in step.entries] == [(1, 3, 50), (2, 3, 50)]


async def test_receipts_name_uids_in_the_order_of_destinations_and_the_leader() -> None:
    batch = [accepted(1, Destination(BOB), Destination(ANN, "Sent"), origin="a"), accepted(2, Destination(BOB))]
    plan = plan_batch(batch, FOUND, now=50)
    assert plan.outcomes == [
        Receipt(MessageId(UUID(int=1)), (AssignedUid(200, 7), AssignedUid(101, 1)), batch=2, leader="a"),
        Receipt(MessageId(UUID(int=2)), (AssignedUid(200, 8),), batch=2, leader="a"),
    ]


async def test_the_notice_of_a_mailbox_names_the_delivery_that_came_last() -> None:
    batch = [accepted(1, Destination(ANN), origin="a"), accepted(2, Destination(ANN), origin="b")]
    (step,) = plan_batch(batch, FOUND, now=50).taken
    assert step.change.origin == "b"


async def test_a_delivery_with_a_missing_mailbox_is_refused_and_the_others_are_stored() -> None:
    batch = [accepted(1, Destination(ANN), Destination(BOB, "Sent")), accepted(2, Destination(ANN))]
    plan = plan_batch(batch, FOUND, now=50)
    assert [type(outcome) for outcome in plan.outcomes] == [MailboxNotFound, Receipt]
    assert [row["uid"] for row in plan.entries] == [5]
    assert [one.message_id.int for one in plan.stored] == [2]


async def test_an_account_has_a_message_once_however_often_it_is_entered() -> None:
    plan = plan_batch([accepted(1, Destination(ANN), Destination(ANN, "Sent"), Destination(BOB))], FOUND, now=50)
    assert [row["account_id"] for row in plan.messages] == [ANN, BOB]


async def test_a_delivery_without_a_date_is_of_now() -> None:
    plan = plan_batch([accepted(1, Destination(ANN)), accepted(2, Destination(ANN), date=7)], FOUND, now=50)
    assert [row["internal_date"] for row in plan.entries] == [row["received"] for row in plan.messages] == [50, 7]


async def test_inbox_is_one_place_in_any_case() -> None:
    batch = [accepted(1, Destination(ANN, "inbox")), accepted(2, Destination(ANN, "INBOX"))]
    assert places(batch) == {(ANN, "INBOX")}


@settings(max_examples=examples(30))
@given(st.integers(0, 3), st.integers(-1, 1))
def test_parts_together_are_the_message(parts: int, more: int) -> None:
    raw = bytes(max(0, parts * PART_OCTETS + more))
    rows = list(split(MessageId(UUID(int=1)), raw))
    assert b"".join(row["octets"] for row in rows) == raw
    assert [row["part"] for row in rows] == list(range(max(1, -(-len(raw) // PART_OCTETS))))


def test_a_big_message_is_handed_over_in_portions() -> None:
    raw = bytes(3 * PORTION_OCTETS)
    taken = [sum(len(row["octets"]) for row in portion) for portion in portions(split(MessageId(UUID(int=1)), raw))]
    assert sum(taken) == len(raw)
    assert max(taken) <= PORTION_OCTETS + PART_OCTETS
