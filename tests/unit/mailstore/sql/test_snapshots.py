"""Snapshots: brought up to date by what changed only, never between two states, whoever writes meanwhile."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.notices import sqlite as file_watch
from relate_mailstore.sql.read import mailbox_cache
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Snapshot
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import Statements, opened

SEED = 20261122
WRITERS, STEPS = 4, 12


async def snapshot_that_is_certain(store: SqlMailStore, account_id: AccountId) -> Snapshot:
    """Of a message. The notice of its delivery may come while the mailbox is read for the first time."""
    await store.deliver(delivery(account_id))
    await store.snapshot(account_id)
    return await store.snapshot(account_id)


async def test_an_unchanged_mailbox_costs_no_query_and_is_the_same_object(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    before = await snapshot_that_is_certain(store, alice)
    with Statements(engine) as statements:
        assert await store.snapshot(alice) is before
        assert await store.mailbox(alice, "inbox") == before.mailbox
    assert len(statements) == 0


async def test_messages_are_recent_to_one_of_all_processes_and_to_nobody_else_in_that_one(
    database_url: str, store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    before = await snapshot_that_is_certain(store, alice)
    async with opened(database_url) as (_, other):
        mailbox = await other.mailbox(alice)
        assert await store.take_recent(alice, mailbox.id) == 1
        after = await store.snapshot(alice)
        assert (before.mailbox.first_recent_uid, after.mailbox.first_recent_uid, after.entries) == (
            1,
            2,
            before.entries,
        )
        assert await other.take_recent(alice, mailbox.id) == 2
        with Statements(engine) as statements:
            assert await store.snapshot(alice) is after
        assert len(statements) == 0


async def test_what_another_process_has_committed_is_seen_at_once(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    inbox = (await store.mailbox(alice)).id
    async with opened(database_url) as (_, other):
        for number in range(50):
            change = FlagChange(add=Flag.SEEN) if number % 2 else FlagChange(remove=Flag.SEEN)
            changed = await other.set_flags(alice, inbox, [1], change)
            assert (await store.snapshot(alice)).entries == changed.entries
            await store.snapshot(alice)


async def test_a_name_is_that_of_another_mailbox_as_soon_as_another_process_renamed(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.create_mailbox(alice, "a")
    one = await store.snapshot(alice, "a")
    assert await store.snapshot(alice, "a") is one
    async with opened(database_url) as (_, other):
        await other.rename_mailbox(alice, "a", "b")
        with pytest.raises(MailboxNotFound):
            await store.snapshot(alice, "a")
        two = await other.create_mailbox(alice, "a")
        assert (await store.snapshot(alice, "a")).mailbox == two
        assert (await store.snapshot(alice, "b")).mailbox.id == one.mailbox.id
        assert (await store.snapshot(alice, "a")).mailbox == two
        await other.delete_mailbox(alice, "a")
        with pytest.raises(MailboxNotFound):
            await store.snapshot(alice, "a")


async def test_a_change_of_others_is_read_with_one_query_more_and_reads_nothing_else(
    database_url: str, store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        await other.set_flags(alice, before.mailbox.id, [2], FlagChange(Flag.SEEN))
    with Statements(engine) as statements:
        after = await store.snapshot(alice)
    assert len(statements) == 2
    assert [one is other for one, other in zip(before.entries, after.entries, strict=True)] == [True, False, True]


async def test_what_the_process_did_itself_need_not_be_read(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "POLL_SECONDS", 60)  # whether others committed is not asked meanwhile
    for _ in range(4):
        await store.deliver(delivery(alice))
    snapshot = await store.refresh(await store.snapshot(alice))
    inbox = snapshot.mailbox.id
    await store.set_flags(alice, inbox, [2, 3], FlagChange(Flag.SEEN, add_keywords=("a",)))
    await store.deliver(delivery(alice))
    await store.expunge(alice, inbox, [1, 3])
    await store.copy(alice, inbox, [2], "INBOX")
    await store.move(alice, inbox, [4], "INBOX")
    await store.flag_message(alice, snapshot.entries[3].message_id, FlagChange(Flag.FLAGGED))
    with Statements(engine) as statements:
        learned = await store.refresh(snapshot)
    assert not any("entries" in statement for statement in statements)
    store._snapshots._kept.clear()
    assert learned == await store.snapshot(alice)
    assert [(entry.uid, entry.flags) for entry in learned.entries] == [(2, 1), (5, 0), (6, 1), (7, 4)]


async def test_what_is_learned_is_left_where_others_committed_between(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        await store.set_flags(alice, before.mailbox.id, [1], FlagChange(Flag.SEEN))
        await other.set_flags(alice, before.mailbox.id, [2], FlagChange(Flag.SEEN))
        await store.set_flags(alice, before.mailbox.id, [3], FlagChange(Flag.SEEN))
        after = await store.refresh(before)
        assert [entry.flags for entry in after.entries] == [1, 1, 1]
        await store.rename_mailbox(alice, "INBOX", "Old")
        await store.set_flags(alice, before.mailbox.id, [], FlagChange(Flag.SEEN))
        assert await store.refresh(after) == await other.snapshot(alice)


async def test_what_nobody_asks_for_is_not_learned_without_end(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_cache, "LEARNED_STEPS", 3)
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    for number in range(9):
        await store.set_flags(alice, before.mailbox.id, [1], FlagChange(add_keywords=(f"k{number}",)))
        assert len(store._snapshots._learned[before.mailbox.id]) <= 3
    assert len((await store.refresh(before)).entries[0].keywords) == 9


async def deaf() -> bool:
    """Nobody listens, as when the database was restarted."""
    return False


async def test_where_nothing_can_be_heard_a_mailbox_is_asked_for(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._snapshots, "_catch_up", deaf)
    await store.deliver(delivery(Destination(alice, "Sent")))
    before = await store.snapshot(alice, "Sent")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE mailboxes SET special_use = :none"), {"none": ""})
    after = await store.snapshot(alice, "Sent")
    assert after == replace(before, mailbox=replace(before.mailbox, special_use=""))


async def test_a_restored_backup_is_read_anew(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    await store.snapshot(alice)
    monkeypatch.setattr(store._snapshots, "_catch_up", deaf)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries WHERE uid > 1"))
        await connection.execute(
            text("UPDATE mailboxes SET uid_next = 2, messages = 1, highest_modseq = 2 WHERE name = 'INBOX'")
        )
    restored = await store.snapshot(alice)
    assert [entry.uid for entry in restored.entries] == [1]
    assert restored.mailbox.highest_modseq == 2


async def test_the_cache_lets_go_of_what_was_asked_for_longest_ago(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_cache, "CACHE_ENTRIES", 11)
    for name in ("INBOX", "Sent", "Junk"):
        await store.deliver(delivery(Destination(alice, name)))
    kept = [await store.snapshot(alice, name) for name in ("INBOX", "Sent", "INBOX", "Junk")]
    assert await store.snapshot(alice, "INBOX") is kept[0]
    with Statements(engine) as statements:
        assert await store.snapshot(alice, "Sent") == kept[1]
    assert len(statements) == 2


def assert_of_one_moment(snapshot: Snapshot) -> None:
    mailbox, entries = snapshot.mailbox, snapshot.entries
    assert len(entries) == mailbox.messages
    assert sum(entry.size for entry in entries) == mailbox.octets
    uids = [entry.uid for entry in entries]
    assert uids == sorted(set(uids))
    assert all(uid < mailbox.uid_next for uid in uids)
    assert all(entry.modseq <= mailbox.highest_modseq for entry in entries)


async def write(store: SqlMailStore, account_id: AccountId, choice: random.Random) -> None:
    inbox = await store.mailbox(account_id)
    for _ in range(STEPS):
        uids = choice.sample(range(1, 20), 3)
        match choice.randrange(4):
            case 0:
                await store.expunge(account_id, inbox.id, uids)
            case 1:
                change = FlagChange(choice.randrange(32), choice.randrange(32), ("a",), ("b",))
                await store.set_flags(account_id, inbox.id, uids, change)
            case _:
                await store.deliver(delivery(account_id, raw=bytes(choice.randrange(50))))


async def watch(store: SqlMailStore, account_id: AccountId, done: asyncio.Event) -> Sequence[Snapshot]:
    seen = []
    while not done.is_set():
        seen.append(await store.snapshot(account_id))
        await asyncio.sleep(0)  # it may be at hand
    return seen


async def test_snapshots_are_of_one_moment_and_never_go_back_while_others_write(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.provision(alice)
    async with opened(database_url) as (_, other):
        done = asyncio.Event()
        watching = [asyncio.create_task(watch(one, alice, done)) for one in (store, store, other)]
        writers = (write((store, other)[number % 2], alice, random.Random(SEED + number)) for number in range(WRITERS))
        await asyncio.gather(*writers)
        done.set()
        for seen in await asyncio.gather(*watching):
            for snapshot in seen:
                assert_of_one_moment(snapshot)
            modseqs = [snapshot.mailbox.highest_modseq for snapshot in seen]
            assert modseqs == sorted(modseqs)
        assert await store.snapshot(alice) == await other.snapshot(alice)
        store._snapshots._kept.clear()
        assert await store.snapshot(alice) == await other.snapshot(alice)
