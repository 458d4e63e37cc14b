"""A message in the queue keeps its octets, whatever becomes of the accounts' copies; they go with the last owner."""

import pytest
from sqlalchemy import func, select

from relate_mailstore.erase import erase
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import AttemptResult, QueueFilter, QueueState
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.tables import blobs, queue_messages, queue_recipients
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageId
from tests.contract.outgoing import Clock, sent
from tests.contract.stores import opened
from tests.support.factories import simple, uids

Store = MemoryMailStore | SqlMailStore


async def settle_all(store: Store) -> None:
    claimed = await store.queue.claim("one", 100, 100, {})
    assert await store.queue.settle([AttemptResult(one.lease, QueueState.DELIVERED) for one in claimed]) == []


async def test_expunging_every_copy_keeps_the_message_of_the_queue(
    mail: Store, alice: AccountId, bob: AccountId
) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example", local=(alice, bob)))
    inbox = await mail.mailbox(alice)
    await mail.expunge(alice, inbox.id, uids(1))
    await mail.delete_message(bob, receipt.message_id)
    assert await (await mail.queue.open(receipt.message_id)).read() == simple()


async def test_erasing_an_account_keeps_its_outgoing_mail(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example", local=(alice,)))
    await erase(mail, alice)
    assert await (await mail.queue.open(receipt.message_id)).read() == simple()
    (claimed,) = await mail.queue.claim("one", 100, 100, {})
    assert claimed.account_id == alice


async def test_a_message_that_left_the_queue_stays_in_its_mailboxes(mail: Store, alice: AccountId) -> None:
    receipt = await mail.deliver(sent(alice, "carol@a.example", local=(alice,)))
    await settle_all(mail)
    assert await (await mail.open(alice, receipt.message_id)).read() == simple()


@pytest.mark.parametrize("is_local", [True, False], ids=["local too", "queued only"])
@pytest.mark.parametrize("how", ["settle", "drop"])
async def test_octets_go_with_the_last_owner(
    fresh_database: str, clock: Clock, alice: AccountId, is_local: bool, how: str
) -> None:
    url = fresh_database
    async with opened(url, clock) as store:
        receipt = await store.deliver(sent(alice, "carol@a.example", local=(alice,) if is_local else ()))
        kept = await store.deliver(sent(alice, "dan@b.example"))
        assert await store.collect_garbage() == 0
        if is_local:
            await store.delete_message(alice, receipt.message_id)
        assert await store.collect_garbage() == 0
        assert await stored(url) == {receipt.message_id, kept.message_id}
        if how == "settle":
            (claimed,) = await store.queue.claim("one", 1, 100, {"b.example": 100})
            await store.queue.settle([AttemptResult(claimed.lease, QueueState.FAILED)])
        else:
            assert await store.queue.drop(QueueFilter(domain="a.example")) == 1
        assert await stored(url) == {kept.message_id}
        assert await store.collect_garbage() == 0
        await settle_all(store)
        assert await stored(url) == set()
        assert await count_rows(url) == 0


async def stored(url: str) -> set[MessageId]:
    engine = open_engine(url)
    async with engine.connect() as connection:
        ids = {MessageId(one) for one in (await connection.scalars(select(blobs.c.id))).all()}
    await engine.dispose()
    return ids


async def count_rows(url: str) -> int:
    engine = open_engine(url)
    async with engine.connect() as connection:
        counts = [
            (await connection.scalar(select(func.count()).select_from(table))) or 0
            for table in (queue_messages, queue_recipients)
        ]
    await engine.dispose()
    return sum(counts)
