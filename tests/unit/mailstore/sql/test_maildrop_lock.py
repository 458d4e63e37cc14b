"""The maildrop lock between processes, and its release when one of them ends."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.sql.notices.maildrop_lock import LOCK_KEYS
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from tests.unit.mailstore.sql.helpers import opened

WAIT_SECONDS = 30.0  # then the test fails
UNUSED = AccountId(LOCK_KEYS - 1)

HOLD = """
import asyncio, sys
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store

async def main():
    engine = open_engine(sys.argv[1])
    async with open_store(engine) as store, store.lock_maildrop(int(sys.argv[2])):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await engine.dispose()

asyncio.run(main())
"""


@contextmanager
def held_by_another_process(url: str, account_id: AccountId) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the maildrop until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, url, str(account_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


async def is_held(store: SqlMailStore, account_id: AccountId) -> bool:
    try:
        async with store.lock_maildrop(account_id):
            return False
    except MaildropInUse:
        return True


async def until_free(store: SqlMailStore, account_id: AccountId) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while await is_held(store, account_id):
            await store.ping()


async def test_another_process_holds_the_maildrop_until_it_exits(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    with held_by_another_process(database_url, alice) as process:
        assert await is_held(store, alice)
        assert not await is_held(store, AccountId(alice + 1))
        process.communicate()
        assert process.returncode == 0
        assert not await is_held(store, alice)


async def test_a_killed_process_holds_nothing(database_url: str, store: SqlMailStore, alice: AccountId) -> None:
    with held_by_another_process(database_url, alice) as process:
        process.kill()
        process.wait()
        await until_free(store, alice)


async def test_two_stores_of_one_process_exclude_each_other(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    async with opened(database_url) as (_, other):
        async with store.lock_maildrop(alice), store.lock_maildrop(AccountId(alice + 1)):
            assert await is_held(other, alice)
        assert not await is_held(other, alice)


async def test_a_session_cancelled_while_it_acquires_the_lock_releases_it(
    store: SqlMailStore, alice: AccountId
) -> None:
    for turns in range(6):
        attempt = asyncio.create_task(is_held(store, alice))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await until_free(store, alice)


@pytest.mark.postgres
async def test_account_ids_may_exceed_32_bits(postgres_url: str) -> None:
    async with opened(postgres_url) as (_, store), store.lock_maildrop(AccountId(LOCK_KEYS * 5 + 7)):
        pass


@pytest.mark.postgres
async def test_locks_are_acquired_again_after_a_reconnect(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (other_engine, other):
        async with store.lock_maildrop(alice):
            await terminate_session_connection(other_engine, alice)
            await until_usable(store)
            assert await is_held(other, alice)
        assert not await is_held(other, alice)


async def terminate_session_connection(engine: AsyncEngine, account_id: AccountId) -> None:
    """Terminate the backend that holds an account's maildrop lock."""
    async with engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND objid = :account"
            ),
            {"account": account_id},
        )


async def until_usable(store: SqlMailStore) -> None:
    """Wait until the session connection is up again: until then acquiring a lock raises StoreUnavailable."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                async with store.lock_maildrop(UNUSED):
                    return
            except StoreUnavailable:
                await store.ping()
