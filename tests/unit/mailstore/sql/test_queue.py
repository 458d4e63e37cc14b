"""The statements of the queue: what a delivery pays, and that a claim that finds nothing begins no transaction."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.queue_types import AttemptResult, QueueState, SendingLimit
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Delivery
from tests.contract.outgoing import sent
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import Statements


async def test_outgoing_mail_costs_a_delivery_two_statements_and_other_mail_none(
    engine: AsyncEngine, store: SqlMailStore, alice: AccountId
) -> None:
    await store.provision(alice)
    with Statements(engine) as local:
        await store.deliver(delivery(alice))
    with Statements(engine) as both:
        await store.deliver(sent(alice, "carol@a.example", "dan@b.example", local=(alice,)))
    with Statements(engine) as outgoing:
        await store.deliver(sent(alice, "carol@a.example"))
    assert not any("queue" in statement for statement in local)
    added = [statement for statement in both if statement not in local]
    assert len(added) == 2
    assert all("INSERT INTO queue_" in statement for statement in added)
    assert [statement for statement in outgoing if statement not in both] == []
    assert not any(
        "mailboxes" in statement or "messages (id, account_id, size, r" in statement for statement in outgoing
    )


async def test_a_limit_costs_a_batch_one_statement_and_mail_without_one_none(
    engine: AsyncEngine, store: SqlMailStore
) -> None:
    limits = SendingLimit(3_600, 1), SendingLimit(86_400, 1)

    def limited(number: int) -> Delivery:
        one = sent(AccountId(number), "carol@a.example")
        assert one.outgoing is not None
        return replace(one, outgoing=replace(one.outgoing, limits=limits))

    with Statements(engine) as without:
        await store.deliver(sent(AccountId(1), "carol@a.example"))
    with Statements(engine) as lone:
        await store.deliver(limited(1))
    with Statements(engine) as several:
        receipts = await asyncio.gather(*(store.deliver(limited(number)) for number in (1, 2, 3)))
    assert {receipt.batch for receipt in receipts} == {3}
    assert not any("sent_recipients" in statement for statement in without)
    for statements in (lone, several):
        assert len([one for one in statements if "sent_recipients" in one]) == 1


async def test_a_claim_of_nothing_is_one_read(engine: AsyncEngine, store: SqlMailStore, alice: AccountId) -> None:
    await store.queue.claim("one", 10, 10, {})
    with Statements(engine) as statements:
        assert not await store.queue.claim("one", 10, 10, {})
    (read,) = statements
    assert "SELECT min(" in read


async def test_a_claim_and_its_result_cost_few_statements(
    engine: AsyncEngine, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(sent(alice, *(f"{number}@a.example" for number in range(50))))
    await store.queue.claim("one", 1, 10, {})
    with Statements(engine) as claiming:
        claimed = await store.queue.claim("one", 40, 50, {})
    assert len(claimed) == 40
    # What is due, the beat (on PostgreSQL within the next), the UPDATE, the messages, the suspensions.
    assert len([one for one in claiming if "queue_" in one]) <= 5
    with Statements(engine) as settling:
        await store.queue.settle([AttemptResult(one.lease, QueueState.DELIVERED) for one in claimed])
    assert len([one for one in settling if "queue_" in one]) == 3  # the locks, the counts, the results
