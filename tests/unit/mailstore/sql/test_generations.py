"""Cache generations: a query confirms them where a removal may have been missed, else they are invalidated."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.read.generations import COUNT_OCTETS, GENERATION_OCTETS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MessageId
from tests.support.factories import delivery, uids
from tests.unit.mailstore.sql.helpers import Statements, opened

RECONNECT_SECONDS = 30.0  # before the test fails


async def fill(store: SqlMailStore, account: AccountId, messages: int = 3) -> list[MessageId]:
    """Messages that are cached, under a generation that has read the counts."""
    ids = [(await store.deliver(delivery(account))).message_id for _ in range(messages)]
    await read(store, account, ids)
    if generation := store._reading.generations.current(account):
        generation.epoch = None
    await read(store, account, ids)
    await read(store, account, ids)
    return ids


async def read(store: SqlMailStore, account: AccountId, ids: list[MessageId]) -> list[bool]:
    results = [await read(account, ids) for read in (store.open_all, store.headers, store.renderings, store.indexes)]
    exist = [[one is not None for one in result] for result in results]
    assert exist == [exist[0]] * len(exist)
    return exist[0]


async def test_change_by_another_process_costs_one_query_and_evicts_nothing(sqlite_url: str, alice: AccountId) -> None:
    async with opened(sqlite_url) as (engine, store), opened(sqlite_url) as (_, other):
        ids = await fill(store, alice)
        inbox = await other.mailbox(alice)
        await other.set_flags(alice, inbox.id, uids(1, 2, 3), FlagChange(Flag.SEEN))
        await other.deliver(delivery(alice))
        store._parts.backend.notices.epoch()
        with Statements(engine) as statements:
            assert await read(store, alice, ids) == [True] * 3
        assert len(statements) == 1
        assert "uid_next" in statements[0]


async def test_own_removals_evict_only_the_removed_messages(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    ids = await fill(store, alice)
    await store.delete_message(alice, ids[1])
    store._parts.backend.notices.epoch()
    generation = store._reading.generations.current(alice)
    assert await read(store, alice, ids) == [True, False, True]
    assert store._reading.generations.current(alice) is generation


async def test_own_removals_do_not_hide_those_of_another_process(sqlite_url: str, alice: AccountId) -> None:
    async with opened(sqlite_url) as (_, store), opened(sqlite_url) as (_, other):
        ids = await fill(store, alice)
        await other.delete_message(alice, ids[0])
        await store.delete_message(alice, ids[1])
        store._parts.backend.notices.epoch()
        assert await read(store, alice, ids) == [False, False, True]


@pytest.mark.postgres
async def test_removal_while_listen_is_down_is_seen_at_once_and_later(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        ids = await fill(store, alice)
        assert store._parts.backend.side is not None
        reconnected = asyncio.Event()

        async def connected(connection: object) -> None:
            await restored.wait()
            reconnected.set()

        restored = asyncio.Event()
        store._parts.backend.side.on_connect(connected)
        assert store._parts.backend.side._connection is not None
        store._parts.backend.side._connection.terminate()
        await asyncio.sleep(0)
        assert not store._parts.backend.side.up
        await other.delete_message(alice, ids[0])
        assert await read(store, alice, ids) == [False, True, True]
        with pytest.raises(MessageNotFound):
            await store.open(alice, ids[0], ids)
        await other.delete_message(alice, ids[1])
        restored.set()
        async with asyncio.timeout(RECONNECT_SECONDS):
            await reconnected.wait()
        assert await read(store, alice, ids) == [False, False, True]


@pytest.mark.postgres
async def test_mailbox_created_and_deleted_since_the_last_query_is_noticed(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        ids = await fill(store, alice)
        await store.create_mailbox(alice, "New")
        ids += [(await store.deliver(delivery(Destination(alice, "New")))).message_id]
        assert await read(store, alice, ids) == [True] * 4
        assert store._parts.backend.side is not None
        assert store._parts.backend.side._connection is not None
        store._parts.backend.side._connection.terminate()
        await asyncio.sleep(0)
        await other.delete_mailbox(alice, "New")
        assert await read(store, alice, ids) == [True] * 3 + [False]


@pytest.mark.postgres
async def test_query_confirms_the_generation_while_listen_is_down(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        ids = await fill(store, alice, 30)
        assert store._parts.backend.side is not None
        store._parts.backend.side._lost.set()
        with Statements(engine) as statements:
            opened_ = await store.open_all(alice, ids)
        assert None not in opened_
        assert len(statements) == 1


async def test_generation_of_the_least_recently_used_account_is_evicted(
    store: SqlMailStore, alice: AccountId, bob: AccountId
) -> None:
    store.caches["generations"].limit_octets = GENERATION_OCTETS + 9 * COUNT_OCTETS
    ids = await fill(store, alice)
    await fill(store, bob)
    assert store._reading.generations.current(alice) is None
    assert await read(store, alice, ids) == [True] * 3
