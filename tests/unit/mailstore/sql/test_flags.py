"""Flags changed from what a process believes: right whoever else was there, and with as few statements as can be."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.sql.write import flags_optimistic
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Flagged, Mailbox, MailboxNotice, Snapshot
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import Statements, opened

SEEN, FLAGGED, ANSWERED, DRAFT = (int(flag) for flag in (Flag.SEEN, Flag.FLAGGED, Flag.ANSWERED, Flag.DRAFT))
PATIENCE = 10.0  # seconds until what does not come fails its test
SEED, WRITERS, STEPS = 20261125, 6, 15


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[SqlMailStore]:
    """A store of another process."""
    async with opened(database_url) as (_, store):
        yield store


async def three(store: SqlMailStore, *places: AccountId | Destination) -> Sequence[Snapshot]:
    """Mailboxes of three messages each, as the store knows them."""
    for place in places:
        for _ in range(3):
            await store.deliver(delivery(place))
    where = [place if isinstance(place, Destination) else Destination(place) for place in places]
    for one in where:
        await store.snapshot(one.account_id, one.mailbox)  # of the first reading it is not certain that it is current
    return [await store.snapshot(one.account_id, one.mailbox) for one in where]


async def change(store: SqlMailStore, mailbox: Mailbox, uids: Sequence[int], add: int = 0, remove: int = 0) -> Flagged:
    return await store.set_flags(mailbox.account_id, mailbox.id, uids, FlagChange(add=add, remove=remove))


def flags(answer: Flagged | Snapshot) -> list[tuple[int, int]]:
    return [(entry.uid, entry.flags) for entry in answer.entries]


@pytest.mark.postgres
async def test_a_change_is_one_statement(postgres_url: str, alice: AccountId, bob: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        snapshots = await three(store, alice, bob, Destination(bob, "Sent"))
        await store.ping()
        with Statements(engine) as statements:
            await asyncio.gather(*(change(store, one.mailbox, [2], SEEN) for one in snapshots))
        assert len(statements) == 1
        with Statements(engine) as statements:  # there is nothing to do, if it still is so
            assert flags(await change(store, snapshots[0].mailbox, [2], SEEN)) == [(2, SEEN)]
        assert len(statements) == 1
        assert "UPDATE" not in statements[0]


async def test_what_is_known_is_not_read(store: SqlMailStore, engine: AsyncEngine, alice: AccountId) -> None:
    (before,) = await three(store, alice)
    with Statements(engine) as statements:
        await change(store, before.mailbox, [1, 3], SEEN)
        after = await store.refresh(before)
    assert not [one for one in statements if "SELECT entries" in one]
    assert flags(after) == [(1, SEEN), (2, 0), (3, SEEN)]


async def test_what_others_changed_meanwhile_is_not_lost(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await three(store, alice)
    theirs = (await change(other, before.mailbox, [2], FLAGGED)).entries[0]
    ours = (await change(store, before.mailbox, [1, 2], SEEN)).entries
    assert [entry.flags for entry in ours] == [SEEN, SEEN | FLAGGED]
    assert ours[1].modseq > theirs.modseq
    assert flags(await change(other, before.mailbox, [2], ANSWERED)) == [(2, SEEN | FLAGGED | ANSWERED)]
    assert await store.snapshot(alice) == await other.snapshot(alice)


async def test_what_is_believed_to_be_so_already_is_made_so(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await three(store, alice)
    await change(store, before.mailbox, [1], SEEN)
    await store.snapshot(alice)
    await change(other, before.mailbox, [1], remove=SEEN)
    assert flags(await change(store, before.mailbox, [1], SEEN)) == [(1, SEEN)]
    assert flags(await other.snapshot(alice)) == [(1, SEEN), (2, 0), (3, 0)]


async def test_what_others_expunged_meanwhile_is_left_out(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await three(store, alice)
    await other.expunge(alice, before.mailbox.id, [2])
    assert flags(await change(store, before.mailbox, [1, 2, 3], SEEN)) == [(1, SEEN), (3, SEEN)]
    assert await store.snapshot(alice) == await other.snapshot(alice)


async def test_a_mailbox_that_others_deleted_is_not_found(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    gone, still = await three(store, Destination(alice, "Sent"), alice)
    await other.delete_mailbox(alice, "Sent")
    answers = await asyncio.gather(
        *(change(store, one.mailbox, [1], SEEN) for one in (gone, still)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [MailboxNotFound, Flagged]


async def test_what_others_changed_since_is_left_on_condition(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await three(store, alice)
    await change(other, before.mailbox, [2], FLAGGED)
    add = FlagChange(add=SEEN)
    answer = await store.set_flags(alice, before.mailbox.id, [1, 2], add, before.mailbox.highest_modseq)
    assert (flags(answer), answer.modified) == ([(1, SEEN), (2, FLAGGED)], (2,))


async def test_of_several_mailboxes_only_those_that_others_changed_are_locked_first(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId, bob: AccountId
) -> None:
    snapshots = await three(store, alice, bob, Destination(bob, "Sent"))
    await change(other, snapshots[1].mailbox, [1, 2], FLAGGED)
    answers = await asyncio.gather(*(change(store, one.mailbox, [2, 3], SEEN) for one in snapshots))
    assert [flags(answer) for answer in answers] == [
        [(2, SEEN), (3, SEEN)],
        [(2, SEEN | FLAGGED), (3, SEEN)],
        [(2, SEEN), (3, SEEN)],
    ]
    for account, name in ((alice, "INBOX"), (bob, "INBOX"), (bob, "Sent")):
        assert await store.snapshot(account, name) == await other.snapshot(account, name)


async def test_changes_of_one_entry_that_come_together_have_a_modseq_each(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId
) -> None:
    (before,) = await three(store, alice)
    answers = await asyncio.gather(*(change(store, before.mailbox, [1], flag) for flag in (SEEN, FLAGGED, DRAFT)))
    told = [answer.entries[0] for answer in answers]
    assert [entry.flags for entry in told] == [SEEN, SEEN | FLAGGED, SEEN | FLAGGED | DRAFT]
    assert len({entry.modseq for entry in told}) == 3
    after = await other.snapshot(alice)
    assert (after.entries[0], after.mailbox.highest_modseq) == (told[-1], told[-1].modseq)


@pytest.mark.postgres
async def test_more_mailboxes_than_a_notice_can_name_are_locked_first(
    postgres_url: str, alice: AccountId, bob: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags_optimistic, "MAX_CHANGES_OCTETS", 10)
    async with opened(postgres_url) as (_, store):
        snapshots = await three(store, alice, bob)
        answers = await asyncio.gather(*(change(store, one.mailbox, [2], SEEN) for one in snapshots))
        assert [flags(answer) for answer in answers] == [[(2, SEEN)]] * 2


@pytest.mark.postgres
async def test_another_process_hears_of_it(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        (before,) = await three(store, alice)
        async with other.listen(alice) as changes:
            told = (await change(store, before.mailbox, [2], SEEN)).entries[0]
            heard = await asyncio.wait_for(_next(changes, told.modseq), PATIENCE)
        assert (heard.mailbox_id, heard.origin) == (before.mailbox.id, None)


async def _next(changes: AsyncIterator[MailboxNotice], modseq: int) -> MailboxNotice:
    return await anext(change async for change in changes if change.modseq == modseq)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("meanwhile", "locked_first"),
    [("recent = recent + 1", False), ("highest_modseq = highest_modseq + 1", True), ("uid_next = uid_next", False)],
)
async def test_what_is_changed_while_it_is_waited_for_is_looked_at_again(
    postgres_url: str, alice: AccountId, meanwhile: str, locked_first: bool
) -> None:
    async with opened(postgres_url) as (engine, store):
        (before,) = await three(store, alice)
        with Statements(engine) as statements:
            async with engine.begin() as connection:
                update = text(f"UPDATE mailboxes SET {meanwhile} WHERE id = :id")
                await connection.execute(update, {"id": before.mailbox.id})
                changing = asyncio.create_task(change(store, before.mailbox, [1], SEEN))
                await _somebody_waits_for(connection)
            assert flags(await asyncio.wait_for(changing, PATIENCE)) == [(1, SEEN)]
        assert any("FOR UPDATE" in one and "locked" not in one for one in statements) is locked_first
        assert flags(await store.snapshot(alice)) == [(1, SEEN), (2, 0), (3, 0)]


async def _somebody_waits_for(connection: AsyncConnection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")
    async with asyncio.timeout(PATIENCE):
        while not await connection.scalar(waiting):
            await asyncio.sleep(0.01)


async def work(store: SqlMailStore, boxes: Sequence[Mailbox], choice: random.Random) -> None:
    """What all do at once, in mailboxes in any order: flags, mail for several, expunging."""
    for _ in range(STEPS):
        mixed = choice.sample(boxes, len(boxes))
        uids = choice.sample(range(1, 8), 3)
        match choice.randrange(4):
            case 0:
                await store.deliver(delivery(*(Destination(box.account_id, box.name) for box in mixed)))
            case 1:
                await store.expunge(mixed[0].account_id, mixed[0].id, uids[:1])
            case _:
                bits = choice.randrange(32), choice.randrange(32)
                await asyncio.gather(*(change(store, box, uids, *bits) for box in mixed))


async def test_flags_and_mail_of_two_processes_wait_for_each_other_and_never_in_a_circle(
    store: SqlMailStore, other: SqlMailStore, alice: AccountId, bob: AccountId
) -> None:
    boxes = [one.mailbox for one in await three(store, alice, Destination(alice, "Sent"), bob)]
    workers = [work((store, other)[n % 2], boxes, random.Random(SEED + n)) for n in range(WRITERS)]
    async with asyncio.timeout(6 * PATIENCE):
        await asyncio.gather(*workers)
    for box in boxes:
        theirs = await other.snapshot(box.account_id, box.name)
        assert await store.snapshot(box.account_id, box.name) == theirs
        store._snapshots._kept.clear()
        store._snapshots._ids.clear()
        assert await store.snapshot(box.account_id, box.name) == theirs
        assert all(entry.modseq <= theirs.mailbox.highest_modseq for entry in theirs.entries)
