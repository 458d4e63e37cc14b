"""Renderings, indexes and headers: cached after the first read, and evicted when their message is removed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.read.message_info import INDEX_OCTETS, _weigh_index
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageId
from relate_mime import index_message
from tests.support.factories import delivery, simple
from tests.unit.mailstore.sql.helpers import Statements

CACHES = ("renderings", "indexes", "headers", "blobs")

Read = Callable[[AccountId, Sequence[MessageId]], Awaitable[Sequence[object]]]


def reader(store: SqlMailStore, cache: str) -> Read:
    """The method of the store that fills a cache."""
    return store.open_all if cache == "blobs" else getattr(store, cache)


async def test_second_read_of_messages_costs_no_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    receipts = [await store.deliver(delivery(alice)) for _ in range(5)]
    ids = [receipt.message_id for receipt in receipts]
    first = [await reader(store, cache)(alice, ids) for cache in CACHES]
    with Statements(engine) as statements:
        again = [await reader(store, cache)(alice, ids) for cache in CACHES]
    assert again == first
    assert statements == []
    for cache in CACHES:
        assert (store.caches[cache].hits, store.caches[cache].misses) == (5, 5)


async def test_removed_message_is_evicted(store: SqlMailStore, alice: AccountId) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    for cache in CACHES:
        await reader(store, cache)(alice, [message_id])
    assert [len(store.caches[cache]) for cache in CACHES] == [1, 1, 1, 1]
    await store.delete_message(alice, message_id)
    assert [len(store.caches[cache]) for cache in CACHES] == [0, 0, 0, 0]


@pytest.mark.parametrize("cache", CACHES)
async def test_message_that_is_removed_during_its_read_is_not_cached(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    message_id = (await store.deliver(delivery(alice))).message_id
    fetch, present = store._database.fetch, {message_id}

    async def fetch_and_remove(statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Any]:
        rows = await fetch(statement, parameters)
        if "message_ids" in parameters and present:
            await store.delete_message(alice, present.pop())
        return rows

    monkeypatch.setattr(store._database, "fetch", fetch_and_remove)
    assert None not in await reader(store, cache)(alice, [message_id])  # it existed at the time of the read
    assert (len(store.caches[cache]), store.caches[cache].octets) == (0, 0)
    assert await reader(store, cache)(alice, [message_id]) == [None]


def test_weight_of_an_index_grows_with_what_it_holds() -> None:
    one, other = (index_message(simple("x", to=to)) for to in ("bob@x", ", ".join(f"bob{n}@x" for n in range(100))))
    assert _weigh_index(one) > INDEX_OCTETS
    assert _weigh_index(other) > _weigh_index(one) + 100 * 200
