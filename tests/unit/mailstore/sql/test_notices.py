"""Notices: their payload, and that a listener receives every change, even after a lost connection."""

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

from relate_mailstore.sql.deltas import Removal
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.notices import postgres, sqlite
from relate_mailstore.sql.notices.payload import (
    MAX_PAYLOAD_OCTETS,
    MAX_REMOVED_IDS,
    Notice,
    encode_notice,
    parse_notice,
)
from relate_mailstore.sql.notices.ports import look_up
from relate_mailstore.sql.notices.postgres import PostgresNotices
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, MailboxId, MailboxNotice, MessageId, ModSeq
from tests.support.examples import examples
from tests.support.factories import delivery, new_account, uids
from tests.unit.mailstore.sql.helpers import Statements, opened

WAIT_SECONDS = 30.0  # for a notice; then the test fails
LATER_MODSEQ = 2**60
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
def test_a_payload_lists_the_changes(changed: Sequence[MailboxNotice]) -> None:
    assert parse_notice(encode_notice(changed)) == Notice(changed)


@settings(max_examples=examples(50))
@given(st.lists(changes, min_size=1, max_size=20), numbers, st.sets(st.uuids(), min_size=1, max_size=MAX_REMOVED_IDS))
def test_a_payload_lists_removed_messages(changed: Sequence[MailboxNotice], account: int, removed: set[UUID]) -> None:
    removal = Removal(AccountId(account), [*map(MessageId, removed)])
    payload = encode_notice(changed, removal)
    assert len(payload) <= MAX_PAYLOAD_OCTETS
    assert parse_notice(payload) == Notice(changed, removal)


def test_a_payload_with_too_many_removals_has_only_their_account() -> None:
    changed = [MailboxNotice(AccountId(1), MailboxId(2), ModSeq(5))]
    removed = [MessageId(UUID(int=number)) for number in range(MAX_REMOVED_IDS + 1)]
    notice = parse_notice(encode_notice(changed, Removal(AccountId(1), removed)))
    assert notice == Notice(changed, Removal(AccountId(1), None))


def test_a_payload_without_removals_is_parsed() -> None:
    assert parse_notice('{"changes":[[1,2,5,null,7.5]]}') == Notice(
        [MailboxNotice(AccountId(1), MailboxId(2), ModSeq(5), None, 7.5)]
    )


@pytest.mark.parametrize(("accounts", "named"), [(300, True), (10_000, False)])
def test_a_payload_with_too_many_changes_has_only_accounts_or_nothing(accounts: int, named: bool) -> None:
    changed = [
        MailboxNotice(AccountId(number), MailboxId(number), ModSeq(5), TRACEPARENT) for number in range(accounts)
    ]
    payload = encode_notice(changed)
    assert len(payload) <= MAX_PAYLOAD_OCTETS
    assert parse_notice(payload) == Notice(accounts=[*map(AccountId, range(accounts))] if named else None)


async def next_of(changes: AsyncIterator[MailboxNotice]) -> MailboxNotice:
    async with asyncio.timeout(WAIT_SECONDS):
        return await anext(changes)


@pytest.mark.postgres
async def test_another_process_receives_a_notice_with_the_origin(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (_, other):
        async with other.listen(alice) as notices:
            await store.deliver(delivery(alice, origin=TRACEPARENT))
            inbox = await store.mailbox(alice)
            change = await next_of(notices)
            assert change[:-1] == (alice, inbox.id, inbox.highest_modseq, TRACEPARENT)
            assert 0 <= time.time() - change.committed < WAIT_SECONDS


@pytest.mark.postgres
@pytest.mark.parametrize("others", [300, 1_000, 3_000])
async def test_a_delivery_to_very_many_mailboxes_notifies_each(
    postgres_url: str, alice: AccountId, others: int
) -> None:
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
            notice = await next_of(hers)
            while notice.mailbox_id != inbox.id:  # the notice could not list mailboxes, so all are looked up
                notice = await next_of(hers)
            assert notice.modseq == inbox.highest_modseq
            assert (await next_of(theirs)).account_id == crowd[-1]


@pytest.mark.postgres
async def test_changes_during_a_lost_connection_are_looked_up(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        receipt = await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        async with opened(postgres_url) as (_, other), other.listen(alice) as notices:
            async with engine.begin() as connection:
                # In one transaction, so that the change happens while no connection listens.
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
                    )
                )
                await connection.execute(
                    text("UPDATE mailboxes SET highest_modseq = :modseq WHERE id = :id"),
                    {"id": inbox.id, "modseq": LATER_MODSEQ},
                )
            modseqs: dict[MailboxId, int] = {}
            while modseqs.get(inbox.id) != LATER_MODSEQ:
                change = await next_of(notices)
                modseqs[change.mailbox_id] = change.modseq
            await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
            while change.modseq != LATER_MODSEQ + 1:
                change = await next_of(notices)


@pytest.mark.postgres
async def test_a_batch_sends_one_notice(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (engine, store):
        await store.provision(alice)
        with Statements(engine) as statements:
            await store.deliver(delivery(alice, Destination(alice, "Sent"), Destination(alice, "Junk")))
        assert len([statement for statement in statements if "pg_notify" in statement]) == 1


async def test_a_change_is_notified_even_if_its_caller_is_cancelled(sqlite_url: str, alice: AccountId) -> None:
    async with opened(sqlite_url) as (_, store):
        await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        async with store.listen(alice) as notices:
            caller = asyncio.create_task(store.expunge(alice, inbox.id, uids(1)))
            await asyncio.sleep(0)  # the transaction has begun
            caller.cancel()
            assert (await next_of(notices)).mailbox_id == inbox.id
            assert (await store.snapshot(alice)).entries == ()


async def test_a_failed_look_up_is_retried(
    database_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up of what another process committed fails twice, on either database."""
    failures = iter([ValueError("a bug")] * 2)

    async def fail_twice(database: Database, accounts: Collection[AccountId]) -> Collection[MailboxNotice]:
        if error := next(failures, None):
            raise error
        return await look_up(database, accounts)

    async with opened(database_url) as (_, store):
        await store.deliver(delivery(alice))
        async with opened(database_url) as (_, other), other.listen(alice) as notices:
            receiver: Any = other._parts.backend.notices
            with capture_logs() as logs:
                for module in (postgres, sqlite):
                    monkeypatch.setattr(module, "look_up", fail_twice)
                if isinstance(receiver, PostgresNotices):
                    receiver._on_notice(None, 0, "", "{}")  # the notice that lists nothing
                else:
                    await store.deliver(delivery(alice))
                assert (await next_of(notices)).account_id == alice
            assert [entry["task"] for entry in logs] == ["mailstore.notices"] * 2


async def test_a_change_that_fails_after_its_caller_was_cancelled_is_logged(
    sqlite_url: str, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(sqlite_url) as (_, store):
        begun, may_fail = asyncio.Event(), asyncio.Event()

        async def fail(*_: object, **__: object) -> None:
            begun.set()
            await may_fail.wait()
            raise ValueError("a bug")

        monkeypatch.setattr(store._committer, "run_batch", fail)
        caller = asyncio.create_task(store.rename_mailbox(alice, "a", "b"))
        await begun.wait()
        caller.cancel()
        await asyncio.wait([caller])
        with capture_logs() as logs:
            may_fail.set()
            await asyncio.wait(store._committer._running)
            await asyncio.sleep(0)
        assert [entry["task"] for entry in logs] == ["mailstore.change"]
