"""Lists: pages by position, in as many queries whatever their length."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import OverQuota
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageQuery
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements


async def test_a_page_takes_two_queries_however_long_it_is(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(20):
        await store.deliver(delivery(alice))
    with Statements(engine) as statements:
        assert len((await store.find(alice, MessageQuery(limit=20))).items) == 20
    assert len(statements) == 2


@pytest.mark.parametrize("cursor", ["", "nonsense", "1.2", "99.no-uuid", "x.01a20436-e5ca-7e6d-bf0f-c323a1fa256b"])
async def test_a_cursor_that_is_none_of_ours_is_a_value_error(
    store: SqlMailStore, alice: AccountId, cursor: str
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part of it is malformed
        await store.find(alice, MessageQuery(cursor=cursor))


@pytest.mark.parametrize("query", ["%", "_", "\\", "100%", "a_b", "'"])
async def test_no_character_is_a_wildcard(store: SqlMailStore, alice: AccountId, query: str) -> None:
    await store.deliver(delivery(alice, raw=simple("plain axb 1000")))
    await store.deliver(delivery(alice, raw=simple(f"special {query} end")))
    found = await store.find(alice, MessageQuery(text=query))
    assert [row.message.index.subject for row in found.items] == [f"special {query} end"]


async def test_a_message_without_entries_is_in_no_list(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries"))
    assert not (await store.find(alice, MessageQuery(mailbox=None))).items


async def test_what_concurrent_deletions_left_behind_is_collected(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    kept = await store.deliver(delivery(alice))
    await store.deliver(delivery(alice))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries WHERE uid = 2"))
    assert await store.collect_garbage() == 3  # the message, its octets, its turn to be made searchable
    assert await store.collect_garbage() == 0
    assert await (await store.open(alice, kept.message_id)).read() == simple()


async def test_quota_is_asked_once_in_a_while_and_own_deliveries_count_at_once(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.provision(alice)
    await store.check_quota(alice, 100, 1000)
    with Statements(engine) as statements:
        await store.check_quota(alice, 100, 1000)
        assert not statements
    await store.deliver(delivery(alice, raw=bytes(950)))
    with pytest.raises(OverQuota) as caught:
        await store.check_quota(alice, 100, 1000)
    assert caught.value.temporary
    await store.expunge(alice, (await store.mailbox(alice)).id, [1])
    await store.check_quota(alice, 100, 1000)
