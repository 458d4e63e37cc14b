"""Raw messages: read in parts, kept if small, and nobody's but their account's."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql import blobs
from relate_mailstore.sql.blobs import READ_AHEAD_MESSAGES, SMALL_OCTETS
from relate_mailstore.sql.schema import PART_OCTETS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, MessageId
from tests.support.factories import big, delivery, new_account
from tests.unit.mailstore.sql.helpers import Statements

THREE_PARTS = big(2 * PART_OCTETS + 1000)
EDGES = [0, 1, PART_OCTETS - 1, PART_OCTETS, PART_OCTETS + 1, 2 * PART_OCTETS, len(THREE_PARTS), len(THREE_PARTS) + 9]
offsets = st.one_of(st.sampled_from(EDGES), st.integers(0, len(THREE_PARTS)))


async def store_message(store: SqlMailStore, account_id: AccountId, raw: bytes) -> MessageId:
    return (await store.deliver(delivery(account_id, raw=raw))).message_id


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=offsets, stop=st.one_of(st.none(), offsets))
async def test_any_range_of_a_big_message_is_a_slice_of_it(store: SqlMailStore, start: int, stop: int | None) -> None:
    account_id = new_account()
    raw = await store.open(account_id, await store_message(store, account_id, THREE_PARTS))
    chunks = [chunk async for chunk in raw.chunks(start, stop)]
    assert b"".join(chunks) == await raw.read(start, stop) == THREE_PARTS[start:stop]
    assert all(0 < len(chunk) <= PART_OCTETS for chunk in chunks)


@pytest.mark.parametrize("octets", [SMALL_OCTETS, SMALL_OCTETS + 1, PART_OCTETS, PART_OCTETS + 1])
async def test_messages_of_every_kind_come_back_whole(store: SqlMailStore, alice: AccountId, octets: int) -> None:
    raw = await store.open(alice, await store_message(store, alice, big(octets)))
    assert raw.size == octets
    assert await raw.read() == big(octets)


async def test_a_reader_who_has_had_enough_leaves_nothing_behind(store: SqlMailStore, alice: AccountId) -> None:
    raw = await store.open(alice, await store_message(store, alice, THREE_PARTS))
    chunks = raw.chunks()
    await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined] # every generator has it
    assert await raw.read(5, 9) == THREE_PARTS[5:9]


async def test_a_message_that_vanishes_while_it_is_read_is_not_found(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raw = await store.open(alice, await store_message(store, alice, THREE_PARTS))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM blobs"))
    with pytest.raises(MessageNotFound):
        await raw.read()


async def test_a_small_message_is_opened_again_without_a_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    message_id = await store_message(store, alice, b"small")
    await store.open(alice, message_id)
    with Statements(engine) as statements:
        assert await (await store.open(alice, message_id)).read() == b"small"
    assert not statements


async def test_reading_ahead_fetches_small_messages_with_one_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    raws = [b"first", big(SMALL_OCTETS + 1), b"third"]
    ids = [await store_message(store, alice, raw) for raw in raws]
    with Statements(engine) as statements:
        await store.read_ahead(alice, ids)
        assert [await (await store.open(alice, ids[number])).read() for number in (0, 2)] == [b"first", b"third"]
    assert len(statements) == 1


async def test_reading_ahead_is_bounded(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    ids = [await store_message(store, alice, b"%d" % number) for number in range(READ_AHEAD_MESSAGES + 1)]
    await store.read_ahead(alice, ids)
    with Statements(engine) as statements:
        for message_id in ids:
            await store.open(alice, message_id)
    assert len(statements) == 1


async def test_what_one_account_has_read_another_may_not(store: SqlMailStore, alice: AccountId) -> None:
    message_id = await store_message(store, alice, b"hers")
    await store.open(alice, message_id)
    stranger = new_account()
    with pytest.raises(MessageNotFound):
        await store.open(stranger, message_id)
    await store.read_ahead(stranger, [message_id])
    with pytest.raises(MessageNotFound):
        await store.open(stranger, message_id)


async def test_an_expunged_message_is_not_served_from_memory(store: SqlMailStore, alice: AccountId) -> None:
    message_id = await store_message(store, alice, b"gone")
    await store.open(alice, message_id)
    await store.expunge(alice, (await store.mailbox(alice)).id, [1])
    with pytest.raises(MessageNotFound):
        await store.open(alice, message_id)


async def test_what_is_kept_is_bounded(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "CACHE_OCTETS", 5_000)
    ids = [await store_message(store, alice, bytes(1_000)) for _ in range(5)]
    for message_id in [*ids, ids[4]]:
        await store.open(alice, message_id)
    assert store._blobs._octets <= 5_000
    with Statements(engine) as statements:
        await store.open(alice, ids[4])
        assert not statements
        await store.open(alice, ids[0])
    assert len(statements) == 1
