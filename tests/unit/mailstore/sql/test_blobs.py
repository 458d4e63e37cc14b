"""Raw messages: read in parts, cached if small, and readable by their account alone."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from relate_mailstore.errors import MessageNotFound, StoreUnavailable
from relate_mailstore.sql.read import blobs
from relate_mailstore.sql.read.blobs import MESSAGES_PER_QUERY, SMALL_OCTETS
from relate_mailstore.sql.schema.tables import PART_OCTETS
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, MessageId
from tests.support.examples import examples
from tests.support.factories import big, delivery, new_account, uids
from tests.unit.mailstore.sql.helpers import Statements

THREE_PARTS = big(2 * PART_OCTETS + 1000)
EDGES = [0, 1, PART_OCTETS - 1, PART_OCTETS, PART_OCTETS + 1, 2 * PART_OCTETS, len(THREE_PARTS), len(THREE_PARTS) + 9]
offsets = st.one_of(st.sampled_from(EDGES), st.integers(0, len(THREE_PARTS)))


async def store_message(store: SqlMailStore, account_id: AccountId, raw: bytes) -> MessageId:
    return (await store.deliver(delivery(account_id, raw=raw))).message_id


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=offsets, stop=st.one_of(st.none(), offsets))
async def test_range_of_a_large_message_is_a_slice_of_it(store: SqlMailStore, start: int, stop: int | None) -> None:
    account_id = new_account()
    raw = await store.open(account_id, await store_message(store, account_id, THREE_PARTS))
    chunks = [chunk async for chunk in raw.chunks(start, stop)]
    assert b"".join(chunks) == await raw.read(start, stop) == THREE_PARTS[start:stop]
    assert all(0 < len(chunk) <= PART_OCTETS for chunk in chunks)


@pytest.mark.parametrize("octets", [SMALL_OCTETS, SMALL_OCTETS + 1, PART_OCTETS, PART_OCTETS + 1])
async def test_message_of_any_size_is_read_unchanged(store: SqlMailStore, alice: AccountId, octets: int) -> None:
    raw = await store.open(alice, await store_message(store, alice, big(octets)))
    assert raw.size == octets
    assert await raw.read() == big(octets)


async def test_reader_that_stops_early_leaves_no_task_behind(store: SqlMailStore, alice: AccountId) -> None:
    raw = await store.open(alice, await store_message(store, alice, THREE_PARTS))
    chunks = raw.chunks()
    await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined] # every generator has it
    assert await raw.read(5, 9) == THREE_PARTS[5:9]


async def test_message_that_is_removed_during_its_read_is_not_found(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raw = await store.open(alice, await store_message(store, alice, THREE_PARTS))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM blobs"))
    with pytest.raises(MessageNotFound):
        await raw.read()


async def test_small_message_is_opened_again_without_a_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    message_id = await store_message(store, alice, b"small")
    await store.open(alice, message_id)
    with Statements(engine) as statements:
        assert await (await store.open(alice, message_id)).read() == b"small"
    assert not statements


async def test_small_messages_share_one_query_and_large_ones_are_read_later(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raws = [b"first", big(SMALL_OCTETS + 1), b"third"]
    ids = [await store_message(store, alice, raw) for raw in raws]
    with Statements(engine) as statements:
        opened = await store.open_all(alice, ids)
        assert [await raw.read() for raw in opened if raw] == raws
    assert len(statements) == 2


async def test_next_messages_are_prefetched_by_the_same_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(3)]
    with Statements(engine) as statements:
        await store.open(alice, ids[0], ids[1:])
        await store.open_all(alice, ids)
    assert len(statements) == 1


async def test_next_messages_are_prefetched_once_in_the_background(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(3)]
    await store.open(alice, ids[0])
    with Statements(engine) as statements:
        await store.open(alice, ids[0], ids[1:])
        await store.open(alice, ids[0], ids[1:])
        assert statements == []  # the prefetch has not started
        opened = await asyncio.gather(store.open_all(alice, ids), store.open(alice, ids[2]))
    assert [await raw.read() for raw in opened[0] if raw] == [b"0", b"1", b"2"]
    assert len(statements) == 1
    assert store._reading.blobs._prefetching == {}


async def test_messages_per_prefetch_are_bounded(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(MESSAGES_PER_QUERY + 2)]
    await store.open(alice, ids[0])
    await store.open(alice, ids[0], ids[1:])
    with Statements(engine) as statements:
        await store.open_all(alice, ids)
    assert len(statements) == 2


async def test_concurrent_prefetches_are_bounded(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "MAX_PREFETCHES", 1)
    ids = [await store_message(store, alice, b"%d" % number) for number in range(3)]
    await store.open(alice, ids[0])
    await store.open(alice, ids[0], ids[1:2])
    await store.open(alice, ids[0], ids[2:])
    assert len(store._reading.blobs._prefetching) == 1
    assert [await (await store.open(alice, message_id)).read() for message_id in ids] == [b"0", b"1", b"2"]


async def test_store_closes_after_its_prefetches(engine: AsyncEngine, alice: AccountId) -> None:
    async with open_store(engine) as store:
        ids = [await store_message(store, alice, b"%d" % number) for number in range(3)]
        await store.open(alice, ids[0])
        await store.open(alice, ids[0], ids[1:])
        (prefetch,) = store._reading.blobs._prefetches
    assert len(prefetch.result()) == 2


async def test_store_cancels_a_prefetch_that_does_not_end(
    engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "CLOSE_SECONDS", 0.01)
    async with open_store(engine) as store:
        ids = [await store_message(store, alice, b"%d" % number) for number in range(2)]
        await store.open(alice, ids[0])
        with monkeypatch.context() as patched:
            patched.setattr(store._database, "fetch", lambda *_: asyncio.get_running_loop().create_future())
            await store.open(alice, ids[0], ids[1:])
            (prefetch,) = store._reading.blobs._prefetches
            await asyncio.sleep(0)
    assert prefetch.cancelled()


async def test_message_whose_prefetch_failed_is_fetched_again(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(2)]
    await store.open(alice, ids[0])
    down = AsyncMock(side_effect=StoreUnavailable("the database did not answer"))
    with monkeypatch.context() as patched:
        patched.setattr(store._database, "fetch", down)
        await store.open(alice, ids[0], ids[1:])
        with pytest.raises(StoreUnavailable):
            await store.open(alice, ids[1])
    assert down.await_count == 2
    assert await (await store.open(alice, ids[1])).read() == b"1"


async def test_cancelled_reader_does_not_cancel_the_prefetch(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(2)]
    await store.open(alice, ids[0])
    with Statements(engine) as statements:
        await store.open(alice, ids[0], ids[1:])
        waiting = asyncio.create_task(store.open_all(alice, ids[1:]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await (await store.open(alice, ids[1])).read() == b"1"
    assert waiting.cancelled()
    assert len(statements) == 1


async def test_message_cached_for_one_account_is_not_found_by_another(store: SqlMailStore, alice: AccountId) -> None:
    message_id = await store_message(store, alice, b"alice's")
    await store.open(alice, message_id)
    with pytest.raises(MessageNotFound):
        await store.open(new_account(), message_id)


async def test_expunged_message_is_not_served_from_the_cache(store: SqlMailStore, alice: AccountId) -> None:
    message_id = await store_message(store, alice, b"expunged")
    await store.open(alice, message_id)
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    with pytest.raises(MessageNotFound):
        await store.open(alice, message_id)


async def test_least_recently_opened_messages_are_evicted(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    cache = store.caches["blobs"]
    cache.limit_octets = 5_000
    ids = [await store_message(store, alice, bytes(1_000)) for _ in range(5)]
    for message_id in [*ids, ids[4]]:
        await store.open(alice, message_id)
    assert cache.octets <= 5_000
    with Statements(engine) as statements:
        await store.open(alice, ids[4])
        assert not statements
        await store.open(alice, ids[0])
    assert len(statements) == 1


async def test_failed_prefetch_is_logged_and_the_message_is_fetched_again(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await store_message(store, alice, raw) for raw in (b"first", b"second")]
    await store.open(alice, first)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(store._reading.blobs, "_fetch", AsyncMock(side_effect=ValueError("a bug")))
        await store.open(alice, first, [second])
        await asyncio.wait(store._reading.blobs._prefetches)
        await asyncio.sleep(0)
    assert [entry["task"] for entry in logs] == ["mailstore.prefetch"]
    assert await (await store.open(alice, second)).read() == b"second"
