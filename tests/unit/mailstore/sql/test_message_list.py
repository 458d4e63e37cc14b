"""Message lists: keyset pagination in two queries for any length; and quota and garbage, which need the same mail."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import OverQuota
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageQuery
from tests.support.factories import delivery, simple, uids
from tests.unit.mailstore.sql.helpers import Statements


async def test_page_of_any_length_takes_two_queries(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    for _ in range(20):
        await store.deliver(delivery(alice))
    with Statements(engine) as statements:
        assert len((await store.find(alice, MessageQuery(limit=20))).items) == 20
    assert len(statements) == 2


@pytest.mark.parametrize("cursor", ["", "nonsense", "1.2", "99.no-uuid", "x.01a20436-e5ca-7e6d-bf0f-c323a1fa256b"])
async def test_invalid_cursor_raises_value_error(store: SqlMailStore, alice: AccountId, cursor: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever part of it is malformed
        await store.find(alice, MessageQuery(cursor=cursor))


@pytest.mark.parametrize("query", ["%", "_", "\\", "100%", "a_b", "'"])
async def test_text_query_has_no_wildcards(store: SqlMailStore, alice: AccountId, query: str) -> None:
    await store.deliver(delivery(alice, raw=simple("plain axb 1000")))
    await store.deliver(delivery(alice, raw=simple(f"special {query} end")))
    found = await store.find(alice, MessageQuery(text=query))
    assert [row.message.index.subject for row in found.items] == [f"special {query} end"]


async def test_message_without_entries_is_not_listed(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries"))
    assert not (await store.find(alice, MessageQuery(mailbox=None))).items


async def test_garbage_of_concurrent_deletions_is_collected(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.deliver(delivery(alice))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries WHERE uid = 2"))
    assert await store.collect_garbage() == 3  # rows of messages, blobs, untexted
    assert await store.collect_garbage() == 0
    assert await (await store.open(alice, receipt.message_id)).read() == simple()


async def test_quota_usage_is_cached_and_includes_own_deliveries(
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
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    await store.check_quota(alice, 100, 1000)
