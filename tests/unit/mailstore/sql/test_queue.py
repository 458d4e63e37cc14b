"""The statements of the queue: what a delivery pays, and that a claim that finds nothing begins no transaction."""

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
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
    assert (
        len([one for one in claiming if "queue_" in one]) <= 4
    )  # a read of what is due, the beat, the UPDATE, the messages
    with Statements(engine) as settling:
        await store.queue.settle([AttemptResult(one.lease, QueueState.DELIVERED) for one in claimed])
    assert len([one for one in settling if "queue_" in one]) == 3  # the locks, the counts, the results
