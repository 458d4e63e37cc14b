"""The mailbox cache: consistent snapshots, updated by reading changes only, while other processes write."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Executable, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.entry_columns import EntryColumns
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.driver.database import Parameters
from relate_mailstore.sql.notices import sqlite as file_watch
from relate_mailstore.sql.read import mailbox_cache
from relate_mailstore.sql.read.mailbox_cache import SNAPSHOT_OCTETS
from relate_mailstore.sql.schema.rows import parse_columns
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Snapshot
from tests.support.factories import delivery, uids
from tests.unit.mailstore.sql.helpers import Statements, opened

SEED = 20261122
WRITERS, STEPS = 4, 12


async def fresh_snapshot(store: SqlMailStore, account_id: AccountId) -> Snapshot:
    """INBOX with one message, read twice: the notice of its delivery may arrive during the first read."""
    await store.deliver(delivery(account_id))
    await store.snapshot(account_id)
    return await store.snapshot(account_id)


async def test_unchanged_mailbox_costs_no_query_and_is_the_same_object(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    before = await fresh_snapshot(store, alice)
    with Statements(engine) as statements:
        assert await store.snapshot(alice) is before
        assert await store.mailbox(alice, "inbox") == before.mailbox
    assert len(statements) == 0


async def test_messages_are_recent_in_one_session_per_process(
    database_url: str, store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    before = await fresh_snapshot(store, alice)
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


async def test_commit_of_another_process_is_seen_by_the_next_lookup(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    inbox = (await store.mailbox(alice)).id
    async with opened(database_url) as (_, other):
        for number in range(50):
            change = FlagChange(add=Flag.SEEN) if number % 2 else FlagChange(remove=Flag.SEEN)
            changed = await other.set_flags(alice, inbox, uids(1), change)
            assert (await store.snapshot(alice)).entries == changed.entries
            await store.snapshot(alice)


async def test_name_is_resolved_anew_after_another_process_renamed(
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


async def test_change_by_another_process_is_read_by_one_more_query(
    database_url: str, store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        await other.set_flags(alice, before.mailbox.id, uids(2), FlagChange(Flag.SEEN))
    with Statements(engine) as statements:
        after = await store.snapshot(alice)
    assert len(statements) == 2
    assert [one == other for one, other in zip(before.entries, after.entries, strict=True)] == [True, False, True]


async def test_own_commits_are_applied_without_reading_entries(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "POLL_SECONDS", 60)  # no check for other commits in the meantime
    for _ in range(4):
        await store.deliver(delivery(alice))
    snapshot = await store.refresh(await store.snapshot(alice))
    inbox = snapshot.mailbox.id
    await store.set_flags(alice, inbox, uids(2, 3), FlagChange(Flag.SEEN, add_keywords=("a",)))
    await store.deliver(delivery(alice))
    await store.expunge(alice, inbox, uids(1, 3))
    await store.copy(alice, inbox, uids(2), "INBOX")
    await store.move(alice, inbox, uids(4), "INBOX")
    await store.flag_message(alice, snapshot.entries[3].message_id, FlagChange(Flag.FLAGGED))
    with Statements(engine) as statements:
        refreshed = await store.refresh(snapshot)
    assert not any("entries" in statement for statement in statements)
    await store._reading.snapshots.clear()
    assert refreshed == await store.snapshot(alice)
    assert [(entry.uid, entry.flags) for entry in refreshed.entries] == [(2, 1), (5, 0), (6, 1), (7, 4)]


async def test_own_commits_are_not_applied_after_a_commit_of_another_process(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        await store.set_flags(alice, before.mailbox.id, uids(1), FlagChange(Flag.SEEN))
        await other.set_flags(alice, before.mailbox.id, uids(2), FlagChange(Flag.SEEN))
        await store.set_flags(alice, before.mailbox.id, uids(3), FlagChange(Flag.SEEN))
        after = await store.refresh(before)
        assert [entry.flags for entry in after.entries] == [1, 1, 1]
        await store.rename_mailbox(alice, "INBOX", "Old")
        await store.set_flags(alice, before.mailbox.id, [], FlagChange(Flag.SEEN))
        assert await store.refresh(after) == await other.snapshot(alice)


async def test_pending_deltas_of_a_mailbox_are_bounded(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_cache, "MAX_PENDING_DELTAS", 3)
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    for number in range(9):
        await store.set_flags(alice, before.mailbox.id, uids(1), FlagChange(add_keywords=(f"k{number}",)))
        pending = store.caches["pending_deltas"].peek(before.mailbox.id)
        assert pending is None or len(pending.deltas) <= 3
    assert len((await store.refresh(before)).entries[0].keywords) == 9


async def not_listening() -> bool:
    """A `catch_up` that fails, as during a restart of the database."""
    return False


async def test_mailbox_is_queried_while_the_process_does_not_listen(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._reading.snapshots, "_catch_up", not_listening)
    await store.deliver(delivery(Destination(alice, "Sent")))
    before = await store.snapshot(alice, "Sent")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE mailboxes SET special_use = :none"), {"none": ""})
    after = await store.snapshot(alice, "Sent")
    assert after == replace(before, mailbox=replace(before.mailbox, special_use=""))


async def test_restored_backup_is_read_anew(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    await store.snapshot(alice)
    monkeypatch.setattr(store._reading.snapshots, "_catch_up", not_listening)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM entries WHERE uid > 1"))
        await connection.execute(
            text("UPDATE mailboxes SET uid_next = 2, messages = 1, highest_modseq = 2 WHERE name = 'INBOX'")
        )
    restored = await store.snapshot(alice)
    assert [entry.uid for entry in restored.entries] == [1]
    assert restored.mailbox.highest_modseq == 2


async def test_least_recently_used_mailbox_is_evicted(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for name in ("INBOX", "Sent", "Junk"):
        await store.deliver(delivery(Destination(alice, name)))
    kept, cache = await store.snapshot(alice, "INBOX"), store.caches["mailboxes"]
    cache.limit_octets = 2 * cache.octets
    for name in ("Sent", "INBOX", "Junk"):
        await store.snapshot(alice, name)
    assert await store.snapshot(alice, "INBOX") is kept
    with Statements(engine) as statements:
        assert len((await store.snapshot(alice, "Sent")).entries) == 1
    assert len(statements) == 2
    assert len(store._reading.snapshots._ids) == len(cache) == 2


async def test_evicted_mailbox_is_shared_while_a_session_has_it(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    store.caches["mailboxes"].limit_octets = 0
    selected = await store.snapshot(alice)
    with Statements(engine) as statements:
        assert await store.snapshot(alice) is selected
    assert len(statements) == 1
    await store.deliver(delivery(alice))
    assert len((await store.snapshot(alice)).entries) == 2


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first load reads two entries at a time."""
    monkeypatch.setattr(mailbox_cache, "SMALL_MAILBOX_ENTRIES", 2)
    monkeypatch.setattr(mailbox_cache, "PIECE_ENTRIES", 2)


def pieces_in(statements: Sequence[str]) -> int:
    """The number of reads of a piece of a mailbox."""
    return sum("ORDER BY entries.uid" in statement for statement in statements)


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize(("messages", "pieces"), [(2, 0), (3, 2), (4, 3), (5, 3)])
async def test_large_mailbox_is_read_in_pieces(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId, messages: int, pieces: int
) -> None:
    for number in range(messages):
        destination = Destination(alice, flags=number, keywords=("a", f"k{number}")[: number % 3])
        await store.deliver(delivery(destination, raw=bytes(number), internal_date=5_000_000_000 * (number % 2)))
    inbox = await store.mailbox(alice)
    flagged = await store.set_flags(alice, inbox.id, uids(*range(1, messages + 1)), FlagChange(Flag.SEEN))
    with Statements(engine) as statements:
        snapshot = await store.snapshot(alice)
    assert snapshot.entries == flagged.entries
    assert pieces_in(statements) == pieces
    assert_consistent(snapshot)


@pytest.mark.usefixtures("in_pieces")
async def test_changes_between_the_pieces_of_a_first_load_are_seen(
    database_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as (_, store), opened(database_url) as (_, other):
        for _ in range(6):
            await other.deliver(delivery(alice))
        inbox = await other.mailbox(alice)
        fetch = store._reading.snapshots._database.fetch

        async def change_then_fetch(statement: Executable, parameters: Parameters) -> Sequence[Any]:
            if statement is mailbox_cache._PIECE and parameters["last_uid"] == 2:
                await other.set_flags(alice, inbox.id, uids(1, 6), FlagChange(Flag.SEEN))
                await other.expunge(alice, inbox.id, uids(2, 5))
                await other.deliver(delivery(alice))
            return await fetch(statement, parameters)

        monkeypatch.setattr(store._reading.snapshots._database, "fetch", change_then_fetch)
        snapshot = await store.snapshot(alice)
        assert [(entry.uid, entry.flags) for entry in snapshot.entries] == [(1, 1), (3, 0), (4, 0), (6, 1), (7, 0)]
        assert_consistent(snapshot)
        assert snapshot == await other.snapshot(alice)


async def count_forever(count: list[int]) -> None:
    """Another session: counts how often it runs."""
    while True:
        count.append(len(count))
        await asyncio.sleep(0)


@pytest.mark.usefixtures("in_pieces")
async def test_other_sessions_run_between_the_pieces(
    store: SqlMailStore, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        await store.deliver(delivery(alice))
    count, counted = list[int](), list[int]()

    def note_and_parse(row: Sequence[str | None]) -> EntryColumns:
        counted.append(len(count))
        return parse_columns(row)

    monkeypatch.setattr(mailbox_cache, "parse_columns", note_and_parse)
    other = asyncio.create_task(count_forever(count))
    await store.snapshot(alice)
    other.cancel()
    assert len(counted) == 4
    assert counted == sorted(set(counted))


@pytest.mark.usefixtures("in_pieces")
async def test_concurrent_first_lookups_share_one_load(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    with Statements(engine) as statements:
        one, other = await asyncio.gather(store.snapshot(alice), store.snapshot(alice))
    assert one is other
    assert pieces_in(statements) == 3


@pytest.mark.usefixtures("in_pieces")
async def test_mailbox_with_many_changes_is_read_anew_in_pieces(
    database_url: str, store: SqlMailStore, engine: AsyncEngine, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_cache, "MAX_CHANGED_ENTRIES", 3)
    for _ in range(4):
        await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    async with opened(database_url) as (_, other):
        await other.set_flags(alice, before.mailbox.id, uids(1, 2, 3), FlagChange(Flag.SEEN))
    with Statements(engine) as statements:
        after = await store.snapshot(alice)
    assert ([entry.flags for entry in after.entries], pieces_in(statements)) == ([1, 1, 1, 0], 3)
    assert after.entries.delta_since(before.entries) is None


async def test_mailbox_that_outgrows_the_cache_is_read_by_each_lookup(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    before, cache = await fresh_snapshot(store, alice), store.caches["mailboxes"]
    assert cache.octets == SNAPSHOT_OCTETS + before.entries.octets
    cache.limit_octets = cache.octets
    await store.deliver(delivery(alice))
    await store.set_flags(alice, before.mailbox.id, uids(1), FlagChange(Flag.SEEN))
    after = await store.refresh(before)
    assert [entry.flags for entry in after.entries] == [1, 0]
    assert await store.snapshot(alice) == after
    assert (await store.mailbox(alice)).messages == 2
    assert store._reading.snapshots._ids == {}
    assert len(store.caches["mailboxes"]) == len(store.caches["pending_deltas"]) == 0


async def test_unchanged_mailbox_is_refreshed_without_a_query(
    store: SqlMailStore, engine: AsyncEngine, alice: AccountId
) -> None:
    await store.deliver(delivery(alice))
    snapshot = await store.refresh(await store.snapshot(alice))
    with Statements(engine) as statements:
        for _ in range(100):
            assert await store.refresh(snapshot) is snapshot
    assert statements == []


@pytest.mark.postgres
async def test_mailbox_is_refreshed_by_a_query_while_listen_is_down(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store), opened(postgres_url) as (_, other):
        await store.deliver(delivery(alice))
        snapshot = await store.refresh(await store.snapshot(alice))
        assert store._parts.backend.side is not None
        assert store._parts.backend.side._connection is not None
        store._parts.backend.side._connection.terminate()
        await asyncio.sleep(0)
        await other.deliver(delivery(alice))
        with Statements(engine) as statements:
            assert len((await store.refresh(snapshot)).entries) == 2
        assert len([statement for statement in statements if "mailboxes" in statement]) == 1


def assert_consistent(snapshot: Snapshot) -> None:
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
        chosen = uids(*choice.sample(range(1, 20), 3))
        match choice.randrange(4):
            case 0:
                await store.expunge(account_id, inbox.id, chosen)
            case 1:
                change = FlagChange(choice.randrange(32), choice.randrange(32), ("a",), ("b",))
                await store.set_flags(account_id, inbox.id, chosen, change)
            case _:
                await store.deliver(delivery(account_id, raw=bytes(choice.randrange(50))))


async def watch(store: SqlMailStore, account_id: AccountId, done: asyncio.Event) -> Sequence[Snapshot]:
    seen = []
    while not done.is_set():
        seen.append(await store.snapshot(account_id))
        await asyncio.sleep(0)  # a cached snapshot is returned without a switch of tasks
    return seen


async def test_snapshots_are_consistent_and_never_go_back_while_others_write(
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
                assert_consistent(snapshot)
            modseqs = [snapshot.mailbox.highest_modseq for snapshot in seen]
            assert modseqs == sorted(modseqs)
        assert await store.snapshot(alice) == await other.snapshot(alice)
        await store._reading.snapshots.clear()
        assert await store.snapshot(alice) == await other.snapshot(alice)
