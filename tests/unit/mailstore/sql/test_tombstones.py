"""Tombstones: trimmed by age and by number, and what a client can still resynchronise from."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.sql.upkeep import tombstones
from relate_mailstore.types import AccountId
from tests.support.factories import delivery, uids


async def test_old_tombstones_are_trimmed_up_to_a_horizon(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    first = await store.snapshot(alice)
    await store.expunge(alice, first.mailbox.id, uids(1))
    second = await store.mailbox(alice)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE expunged SET removed = 0"))
    await store.expunge(alice, first.mailbox.id, uids(2))
    assert await store.trim_tombstones() == 1
    assert await store.trim_tombstones() == 0
    assert await store.vanished(alice, first.mailbox.id, first.mailbox.highest_modseq) is None
    assert await store.vanished(alice, first.mailbox.id, second.highest_modseq) == [2]
    assert [entry.uid for entry in (await store.refresh(first)).entries] == [3, 4]
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [3, 4]


async def test_the_newest_tombstones_are_retained_where_there_are_too_many(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "MAX_TOMBSTONES", 2)
    for _ in range(5):
        await store.deliver(delivery(alice))
    inbox = await store.snapshot(alice)
    modseqs = []
    for uid in (1, 2, 3, 4):
        await store.expunge(alice, inbox.mailbox.id, uids(uid))
        modseqs.append((await store.mailbox(alice)).highest_modseq)
    assert await store.trim_tombstones() == 2
    assert await store.vanished(alice, inbox.mailbox.id, modseqs[0]) is None
    assert await store.vanished(alice, inbox.mailbox.id, modseqs[1]) == [3, 4]
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [5]
