"""Notices: what fits into one, and that nobody is left without when the listener was away."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs

from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.notices import postgres, sqlite
from relate_mailstore.sql.notices.postgres import (
    PAYLOAD_OCTETS,
    REMOVED_IDS,
    Notice,
    PostgresNotices,
    Removal,
    encode_notice,
    look_up,
    parse_notice,
)
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MailboxId, MailboxNotice, MessageId
from tests.support.examples import examples
from tests.support.factories import delivery, new_account
from tests.unit.mailstore.sql.helpers import Statements, opened

PATIENCE = 30.0  # seconds until a notice that does not come fails its test
FAR = 2**60  # a modseq
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

numbers = st.integers(1, 2**40)
changes = st.builds(
    MailboxNotice,
    numbers.map(AccountId),
    numbers.map(MailboxId),
    numbers,
    st.sampled_from([None, TRACEPARENT]),
    st.floats(0, 2**32),
)


@settings(max_examples=examples(50))
@given(st.lists(changes, min_size=1, max_size=20))
def test_a_few_changes_are_named_one_by_one(told: Sequence[MailboxNotice]) -> None:
    assert parse_notice(encode_notice(told)) == Notice(told)


@settings(max_examples=examples(50))
@given(st.lists(changes, min_size=1, max_size=20), numbers, st.sets(st.uuids(), min_size=1, max_size=REMOVED_IDS))
def test_messages_that_are_gone_are_named(told: Sequence[MailboxNotice], account: int, gone: set[UUID]) -> None:
    removal = Removal(AccountId(account), [*map(MessageId, gone)])
    payload = encode_notice(told, removal)
    assert len(payload) <= PAYLOAD_OCTETS
    assert parse_notice(payload) == Notice(told, removal)


def test_of_more_messages_than_a_notice_names_the_account_is_told() -> None:
    told = [MailboxNotice(AccountId(1), MailboxId(2), 5)]
    gone = [MessageId(UUID(int=number)) for number in range(REMOVED_IDS + 1)]
    notice = parse_notice(encode_notice(told, Removal(AccountId(1), gone)))
    assert notice == Notice(told, Removal(AccountId(1), None))


def test_the_notice_of_a_process_that_names_no_removals_is_understood() -> None:
    assert parse_notice('{"changes":[[1,2,5,null,7.5]]}') == Notice(
        [MailboxNotice(AccountId(1), MailboxId(2), 5, None, 7.5)]
    )


@pytest.mark.parametrize(("accounts", "named"), [(300, True), (10_000, False)])
def test_many_changes_are_named_by_account_and_more_not_at_all(accounts: int, named: bool) -> None:
    told = [MailboxNotice(AccountId(number), MailboxId(number), 5, TRACEPARENT) for number in range(accounts)]
    payload = encode_notice(told)
    assert len(payload) <= PAYLOAD_OCTETS
    assert parse_notice(payload) == Notice(accounts=[*map(AccountId, range(accounts))] if named else None)


async def next_of(changes: AsyncIterator[MailboxNotice]) -> MailboxNotice:
    async with asyncio.timeout(PATIENCE):
        return await anext(changes)


@pytest.mark.postgres
async def test_another_process_is_told_with_the_origin(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        async with other.listen(alice) as told:
            await store.deliver(delivery(alice, origin=TRACEPARENT))
            inbox = await store.mailbox(alice)
            change = await next_of(told)
            assert change[:-1] == (alice, inbox.id, inbox.highest_modseq, TRACEPARENT)
            assert 0 <= time.time() - change.committed < PATIENCE


@pytest.mark.postgres
@pytest.mark.parametrize("others", [300, 1_000, 3_000])
async def test_a_delivery_to_very_many_is_told_to_each(postgres_url: str, alice: AccountId, others: int) -> None:
    async with opened(postgres_url) as (engine, store):
        crowd = [new_account() for _ in range(others)]
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO mailboxes (account_id, name, uid_validity, uid_next, highest_modseq, special_use,"
                    " messages, octets) SELECT a, 'INBOX', 1, 1, 1, '', 0, 0"
                    " FROM generate_series(CAST(:first AS bigint), :last) AS a"
                ),
                {"first": crowd[0], "last": crowd[-1]},
            )
        await store.provision(alice)
        async with store.listen(alice) as hers, store.listen(crowd[-1]) as theirs:
            await store.deliver(delivery(*(Destination(account) for account in (alice, *crowd))))
            inbox = await store.mailbox(alice)
            told = await next_of(hers)
            while told.mailbox_id != inbox.id:  # which mailbox it was could not be said: all are named
                told = await next_of(hers)
            assert told.modseq == inbox.highest_modseq
            assert (await next_of(theirs)).account_id == crowd[-1]


@pytest.mark.postgres
async def test_what_changed_while_nobody_listened_is_looked_up(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        receipt = await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        async with opened(postgres_url) as (_, other), other.listen(alice) as told:
            async with engine.begin() as connection:
                # In one transaction: the listener ends, and what changes meanwhile is told to nobody.
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
                    )
                )
                await connection.execute(
                    text("UPDATE mailboxes SET highest_modseq = :far WHERE id = :id"), {"id": inbox.id, "far": FAR}
                )
            modseqs: dict[MailboxId, int] = {}
            while modseqs.get(inbox.id) != FAR:
                change = await next_of(told)
                modseqs[change.mailbox_id] = change.modseq
            await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
            while change.modseq != FAR + 1:
                change = await next_of(told)


@pytest.mark.postgres
async def test_a_batch_sends_one_notice(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        await store.provision(alice)
        with Statements(engine) as statements:
            await store.deliver(delivery(alice, Destination(alice, "Sent"), Destination(alice, "Junk")))
        assert len([statement for statement in statements if "pg_notify" in statement]) == 1


async def test_a_caller_that_goes_while_its_change_is_committed_leaves_the_others_informed(
    sqlite_url: str, alice: AccountId
) -> None:
    async with opened(sqlite_url) as (_, store):
        await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        async with store.listen(alice) as told:
            caller = asyncio.create_task(store.expunge(alice, inbox.id, [1]))
            await asyncio.sleep(0)  # it has begun
            caller.cancel()
            assert (await next_of(told)).mailbox_id == inbox.id
            assert (await store.snapshot(alice)).entries == ()


async def test_a_bug_while_changes_are_looked_up_does_not_end_the_telling_of_them(
    database_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either database: what another process commits is seen by a look, which fails twice."""
    failures = iter([ValueError("a bug")] * 2)

    async def fail_at_first(database: Database, accounts: Collection[AccountId]) -> Collection[MailboxNotice]:
        if error := next(failures, None):
            raise error
        return await look_up(database, accounts)

    async with opened(database_url) as (_, store):
        await store.deliver(delivery(alice))
        async with opened(database_url) as (_, other), other.listen(alice) as told:
            notices: Any = other._notices
            with capture_logs() as logs:
                for module in (postgres, sqlite):
                    monkeypatch.setattr(module, "look_up", fail_at_first)
                if isinstance(notices, PostgresNotices):
                    notices._on_notice(None, 0, "", "{}")  # that something changed, and not what
                else:
                    await store.deliver(delivery(alice))
                assert (await next_of(told)).account_id == alice
            assert [entry["task"] for entry in logs] == ["mailstore.notices"] * 2


async def test_a_change_that_fails_after_its_caller_has_gone_is_reported(
    sqlite_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(sqlite_url) as (_, store):
        begun, may_fail = asyncio.Event(), asyncio.Event()

        async def fail(*_: object, **__: object) -> None:
            begun.set()
            await may_fail.wait()
            raise ValueError("a bug")

        monkeypatch.setattr(store, "_persist", fail)
        caller = asyncio.create_task(store.rename_mailbox(alice, "a", "b"))
        await begun.wait()
        caller.cancel()
        await asyncio.wait([caller])
        with capture_logs() as logs:
            may_fail.set()
            await asyncio.wait(store._under_way)
            await asyncio.sleep(0)
        assert [entry["task"] for entry in logs] == ["mailstore.change"]
