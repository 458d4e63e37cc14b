"""Cached contents where a removal may have been missed: confirmed by one query, evicted by account, never answered."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.read import generations
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MessageId
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import Statements, opened

PATIENCE = 30.0  # seconds until a connection that does not come back fails its test


async def fill(store: SqlMailStore, account: AccountId, messages: int = 3) -> list[MessageId]:
    """Messages whose contents are all cached, and whose generation knows what was expunged so far."""
    ids = [(await store.deliver(delivery(account))).message_id for _ in range(messages)]
    await read(store, account, ids)
    if generation := store._generations.current(account):
        generation.epoch = None
    await read(store, account, ids)
    await read(store, account, ids)
    return ids


async def read(store: SqlMailStore, account: AccountId, ids: list[MessageId]) -> list[bool]:
    answers = [await ask(account, ids) for ask in (store.open_all, store.headers, store.renderings, store.indexes)]
    there = [[one is not None for one in answer] for answer in answers]
    assert there == [there[0]] * len(there)
    return there[0]


async def test_what_another_process_changes_without_removing_costs_one_query_and_evicts_nothing(
    sqlite_url: str, alice: AccountId
) -> None:
    async with opened(sqlite_url) as (engine, store), opened(sqlite_url) as (_, other):
        ids = await fill(store, alice)
        inbox = await other.mailbox(alice)
        await other.set_flags(alice, inbox.id, [1, 2, 3], FlagChange(Flag.SEEN))
        await other.deliver(delivery(alice))
        store._notices.epoch()
        with Statements(engine) as statements:
            assert await read(store, alice, ids) == [True] * 3
        assert len(statements) == 1
        assert "uid_next" in statements[0]


async def test_own_removals_evict_only_what_they_remove(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    ids = await fill(store, alice)
    await store.delete_message(alice, ids[1])
    store._notices.epoch()
    generation = store._generations.current(alice)
    assert await read(store, alice, ids) == [True, False, True]
    assert store._generations.current(alice) is generation


async def test_own_removals_hide_none_of_another_process(sqlite_url: str, alice: AccountId) -> None:
    async with opened(sqlite_url) as (_, store), opened(sqlite_url) as (_, other):
        ids = await fill(store, alice)
        await other.delete_message(alice, ids[0])
        await store.delete_message(alice, ids[1])
        store._notices.epoch()
        assert await read(store, alice, ids) == [False, False, True]


@pytest.mark.postgres
async def test_a_removal_while_nothing_is_heard_is_seen_at_once_and_after(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        ids = await fill(store, alice)
        assert store._side is not None
        reconnected = asyncio.Event()

        async def connected(connection: object) -> None:
            await restored.wait()
            reconnected.set()

        restored = asyncio.Event()
        store._side.on_connect(connected)
        assert store._side._connection is not None
        store._side._connection.terminate()
        await asyncio.sleep(0)
        assert not store._side.up
        await other.delete_message(alice, ids[0])
        assert await read(store, alice, ids) == [False, True, True]
        with pytest.raises(MessageNotFound):
            await store.open(alice, ids[0], ids)
        await other.delete_message(alice, ids[1])
        restored.set()
        async with asyncio.timeout(PATIENCE):
            await reconnected.wait()
        assert await read(store, alice, ids) == [False, False, True]


@pytest.mark.postgres
async def test_a_mailbox_that_was_created_and_deleted_since_the_last_query_is_not_missed(
    postgres_url: str, alice: AccountId
) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        ids = await fill(store, alice)
        await store.create_mailbox(alice, "New")
        ids += [(await store.deliver(delivery(Destination(alice, "New")))).message_id]
        assert await read(store, alice, ids) == [True] * 4
        assert store._side is not None
        assert store._side._connection is not None
        store._side._connection.terminate()
        await asyncio.sleep(0)
        await other.delete_mailbox(alice, "New")
        assert await read(store, alice, ids) == [True] * 3 + [False]


@pytest.mark.postgres
async def test_while_nothing_is_heard_a_query_confirms_what_is_cached(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        ids = await fill(store, alice, 30)
        assert store._side is not None
        store._side._lost.set()
        with Statements(engine) as statements:
            opened_ = await store.open_all(alice, ids)
        assert None not in opened_
        assert len(statements) == 1


async def test_generations_are_bounded_and_a_new_one_begins_without_contents(
    store: SqlMailStore, alice: AccountId, bob: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "MAX_ACCOUNTS", 1)
    ids = await fill(store, alice)
    await fill(store, bob)
    assert store._generations.current(alice) is None
    assert await read(store, alice, ids) == [True] * 3
