"""Summaries of mailboxes: each is read once, and a search that is cancelled or overtaken leaves none out."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.read.summaries import MAILBOX_OCTETS, SUMMARY_OCTETS, _weigh
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination
from tests.support.factories import delivery, simple, uids
from tests.unit.mailstore.sql.helpers import Statements


async def test_summaries_are_read_once_each(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    for number in range(3):
        await store.deliver(delivery(alice, raw=simple(f"{number}")))
    snapshot = await store.snapshot(alice)
    first = await store.summaries(snapshot)
    await store.deliver(delivery(alice, raw=simple("3")))
    longer = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.summaries(snapshot) is first
        again = await store.summaries(longer)
        assert await store.summaries(longer) is again
    assert len(statements) == 1
    assert all(one is other for one, other in zip(first, again[:3], strict=True))


async def test_mailboxes_that_are_not_searched_are_evicted(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    store.caches["summaries"].limit_octets = 2 * (MAILBOX_OCTETS + SUMMARY_OCTETS)  # texts need some more
    for name in ("INBOX", "Sent"):
        await store.deliver(delivery(Destination(alice, name)))
        await store.summaries(await store.snapshot(alice, name))
    sent, inbox = await store.snapshot(alice, "Sent"), await store.snapshot(alice)
    with Statements(engine) as statements:
        await store.summaries(sent)
        assert len(statements) == 0
        await store.summaries(inbox)
    assert len(statements) == 1


async def test_concurrent_searches_get_all_summaries(store: SqlMailStore, alice: AccountId) -> None:
    for number in range(6):
        await store.deliver(delivery(alice, raw=simple(f"{number}")))
    old = await store.snapshot(alice)
    await store.expunge(alice, old.mailbox.id, uids(2))
    await store.deliver(delivery(alice, raw=simple("6")))
    new = await store.snapshot(alice)
    results = await asyncio.gather(*(store.summaries(snapshot) for snapshot in (old, new, old, new)))
    for result in (results[1], results[3]):
        assert [summary.subject for summary in result] == ["0", "2", "3", "4", "5", "6"]
    assert [summary.subject for summary in results[0]][2:] == ["2", "3", "4", "5"]


async def test_weight_is_that_of_the_summaries_of_a_mailbox(store: SqlMailStore, alice: AccountId) -> None:
    for number in range(5):
        await store.deliver(delivery(alice, raw=simple("x" * 10 * number)))
    both = await store.snapshot(alice), await store.refresh(await store.snapshot(alice))
    await asyncio.gather(*map(store.summaries, both))
    await store.expunge(alice, both[0].mailbox.id, uids(1, 4))
    left = await store.summaries(await store.snapshot(alice))
    assert store.caches["summaries"].octets == MAILBOX_OCTETS + sum(map(_weigh, left))
