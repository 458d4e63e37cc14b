"""Flag changes from the cached mailbox: correct in spite of concurrent changes, and with few statements."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.sql.write import flags_optimistic
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Flagged, Mailbox, MailboxNotice, Snapshot
from tests.support.factories import delivery, uids
from tests.unit.mailstore.sql.helpers import Statements, opened

SEEN, FLAGGED, ANSWERED, DRAFT = (int(flag) for flag in (Flag.SEEN, Flag.FLAGGED, Flag.ANSWERED, Flag.DRAFT))
WAIT_SECONDS = 10.0  # then the test fails
SEED, WRITERS, STEPS = 20261125, 6, 15


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[SqlMailStore]:
    """A store of another process."""
    async with opened(database_url) as (_, store):
        yield store


async def fill(store: SqlMailStore, *targets: AccountId | Destination) -> Sequence[Snapshot]:
    """Deliver three messages to each target, and return the mailboxes, cached and current."""
    for target in targets:
        for _ in range(3):
            await store.deliver(delivery(target))
    destinations = [to if isinstance(to, Destination) else Destination(to) for to in targets]
    for to in destinations:
        await store.snapshot(to.account_id, to.mailbox)  # a first read may not count as current
    return [await store.snapshot(to.account_id, to.mailbox) for to in destinations]


async def change(
    store: SqlMailStore, mailbox: Mailbox, numbers: Iterable[int], add: int = 0, remove: int = 0
) -> Flagged:
    return await store.set_flags(mailbox.account_id, mailbox.id, uids(*numbers), FlagChange(add=add, remove=remove))


def flags(answer: Flagged | Snapshot) -> list[tuple[int, int]]:
    return [(entry.uid, entry.flags) for entry in answer.entries]


@pytest.mark.postgres
async def test_a_change_is_one_statement(postgres_url: str, alice: AccountId, bob: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        snapshots = await fill(store, alice, bob, Destination(bob, "Sent"))
        await store.ping()
        with Statements(engine) as statements:
            await asyncio.gather(*(change(store, one.mailbox, [2], SEEN) for one in snapshots))
        assert len(statements) == 1
        with Statements(engine) as statements:  # changes nothing, and only checks the modseq
            assert flags(await change(store, snapshots[0].mailbox, [2], SEEN)) == [(2, SEEN)]
        assert len(statements) == 1
        assert "UPDATE" not in statements[0]


async def test_cached_entries_are_not_read(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    (before,) = await fill(store, alice)
    with Statements(engine) as statements:
        await change(store, before.mailbox, [1, 3], SEEN)
        after = await store.refresh(before)
    assert not [one for one in statements if "SELECT entries" in one]
    assert flags(after) == [(1, SEEN), (2, 0), (3, SEEN)]


async def test_concurrent_changes_are_not_lost(store: SqlMailStore, other: SqlMailStore, alice: AccountId) -> None:
    (before,) = await fill(store, alice)
    theirs = (await change(other, before.mailbox, [2], FLAGGED)).entries[0]
    ours = (await change(store, before.mailbox, [1, 2], SEEN)).entries
    assert [entry.flags for entry in ours] == [SEEN, SEEN | FLAGGED]
    assert ours[1].modseq > theirs.modseq
    assert flags(await change(other, before.mailbox, [2], ANSWERED)) == [(2, SEEN | FLAGGED | ANSWERED)]
    assert await store.snapshot(alice) == await other.snapshot(alice)


async def test_a_change_is_made_even_if_the_stale_cache_has_it_already(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await fill(store, alice)
    await change(store, before.mailbox, [1], SEEN)
    await store.snapshot(alice)
    await change(other, before.mailbox, [1], remove=SEEN)
    assert flags(await change(store, before.mailbox, [1], SEEN)) == [(1, SEEN)]
    assert flags(await other.snapshot(alice)) == [(1, SEEN), (2, 0), (3, 0)]


async def test_expunged_entries_are_left_out(store: SqlMailStore, other: SqlMailStore, alice: AccountId) -> None:
    (before,) = await fill(store, alice)
    await other.expunge(alice, before.mailbox.id, uids(2))
    assert flags(await change(store, before.mailbox, [1, 2, 3], SEEN)) == [(1, SEEN), (3, SEEN)]
    assert await store.snapshot(alice) == await other.snapshot(alice)


async def test_a_deleted_mailbox_is_not_found(store: SqlMailStore, other: SqlMailStore, alice: AccountId) -> None:
    deleted, inbox = await fill(store, Destination(alice, "Sent"), alice)
    await other.delete_mailbox(alice, "Sent")
    answers = await asyncio.gather(
        *(change(store, one.mailbox, [1], SEEN) for one in (deleted, inbox)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [MailboxNotFound, Flagged]


async def test_entries_changed_since_a_modseq_are_left_out_on_condition(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await fill(store, alice)
    await change(other, before.mailbox, [2], FLAGGED)
    add = FlagChange(add=SEEN)
    answer = await store.set_flags(alice, before.mailbox.id, uids(1, 2), add, before.mailbox.highest_modseq)
    assert (flags(answer), answer.modified) == ([(1, SEEN), (2, FLAGGED)], (2,))


async def test_stale_and_current_mailboxes_in_one_batch_are_all_changed(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId, bob: AccountId
) -> None:
    snapshots = await fill(store, alice, bob, Destination(bob, "Sent"))
    await change(other, snapshots[1].mailbox, [1, 2], FLAGGED)
    answers = await asyncio.gather(*(change(store, one.mailbox, [2, 3], SEEN) for one in snapshots))
    assert [flags(answer) for answer in answers] == [
        [(2, SEEN), (3, SEEN)],
        [(2, SEEN | FLAGGED), (3, SEEN)],
        [(2, SEEN), (3, SEEN)],
    ]
    for account, name in ((alice, "INBOX"), (bob, "INBOX"), (bob, "Sent")):
        assert await store.snapshot(account, name) == await other.snapshot(account, name)


async def test_concurrent_changes_of_an_entry_have_successive_modseqs(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await fill(store, alice)
    answers = await asyncio.gather(*(change(store, before.mailbox, [1], flag) for flag in (SEEN, FLAGGED, DRAFT)))
    entries = [answer.entries[0] for answer in answers]
    assert [entry.flags for entry in entries] == [SEEN, SEEN | FLAGGED, SEEN | FLAGGED | DRAFT]
    assert len({entry.modseq for entry in entries}) == 3
    after = await other.snapshot(alice)
    assert (after.entries[0], after.mailbox.highest_modseq) == (entries[-1], entries[-1].modseq)


@pytest.mark.postgres
async def test_more_mailboxes_than_fit_in_a_notice_are_changed(
    postgres_url: str, alice: AccountId, bob: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags_optimistic, "MAX_CHANGES_OCTETS", 10)
    async with opened(postgres_url) as (_, store):
        snapshots = await fill(store, alice, bob)
        answers = await asyncio.gather(*(change(store, one.mailbox, [2], SEEN) for one in snapshots))
        assert [flags(answer) for answer in answers] == [[(2, SEEN)]] * 2


@pytest.mark.postgres
async def test_another_process_receives_a_notice(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        (before,) = await fill(store, alice)
        async with other.listen(alice) as changes:
            entry = (await change(store, before.mailbox, [2], SEEN)).entries[0]
            notice = await asyncio.wait_for(_next(changes, entry.modseq), WAIT_SECONDS)
        assert (notice.mailbox_id, notice.origin) == (before.mailbox.id, None)


async def _next(changes: AsyncIterator[MailboxNotice], modseq: int) -> MailboxNotice:
    return await anext(change async for change in changes if change.modseq == modseq)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("concurrent", "locked_first"),
    [("recent = recent + 1", False), ("highest_modseq = highest_modseq + 1", True), ("uid_next = uid_next", False)],
)
async def test_the_modseq_is_compared_again_after_waiting_for_a_lock(
    postgres_url: str, alice: AccountId, concurrent: str, locked_first: bool
) -> None:
    async with opened(postgres_url) as (engine, store):
        (before,) = await fill(store, alice)
        with Statements(engine) as statements:
            async with engine.begin() as connection:
                update = text(f"UPDATE mailboxes SET {concurrent} WHERE id = :id")
                await connection.execute(update, {"id": before.mailbox.id})
                changing = asyncio.create_task(change(store, before.mailbox, [1], SEEN))
                await _wait_until_blocked(connection)
            assert flags(await asyncio.wait_for(changing, WAIT_SECONDS)) == [(1, SEEN)]
        assert any("FOR UPDATE" in one and "locked" not in one for one in statements) is locked_first
        assert flags(await store.snapshot(alice)) == [(1, SEEN), (2, 0), (3, 0)]


async def _wait_until_blocked(connection: AsyncConnection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")
    async with asyncio.timeout(WAIT_SECONDS):
        while not await connection.scalar(waiting):
            await asyncio.sleep(0.01)


async def work(store: SqlMailStore, boxes: Sequence[Mailbox], choice: random.Random) -> None:
    """Deliver, expunge and change flags, in the mailboxes in any order."""
    for _ in range(STEPS):
        mixed = choice.sample(boxes, len(boxes))
        numbers = choice.sample(range(1, 8), 3)
        match choice.randrange(4):
            case 0:
                await store.deliver(delivery(*(Destination(box.account_id, box.name) for box in mixed)))
            case 1:
                await store.expunge(mixed[0].account_id, mixed[0].id, uids(*numbers[:1]))
            case _:
                bits = choice.randrange(32), choice.randrange(32)
                await asyncio.gather(*(change(store, box, numbers, *bits) for box in mixed))


async def test_concurrent_writers_of_two_processes_never_deadlock(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId, bob: AccountId
) -> None:
    boxes = [one.mailbox for one in await fill(store, alice, Destination(alice, "Sent"), bob)]
    workers = [work((store, other)[n % 2], boxes, random.Random(SEED + n)) for n in range(WRITERS)]
    async with asyncio.timeout(6 * WAIT_SECONDS):
        await asyncio.gather(*workers)
    for box in boxes:
        theirs = await other.snapshot(box.account_id, box.name)
        assert await store.snapshot(box.account_id, box.name) == theirs
        await store._reading.snapshots.clear()
        assert await store.snapshot(box.account_id, box.name) == theirs
        assert all(entry.modseq <= theirs.mailbox.highest_modseq for entry in theirs.entries)
