"""The maildrop's lock between processes, and what becomes of it when one of them ends."""

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

PATIENCE = 30.0  # seconds until what does not come fails its test
NOBODY = AccountId(LOCK_KEYS - 1)

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
def held_elsewhere(url: str, account_id: AccountId) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the maildrop until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, url, str(account_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


async def taken(store: SqlMailStore, account_id: AccountId) -> bool:
    try:
        async with store.lock_maildrop(account_id):
            return False
    except MaildropInUse:
        return True


async def until_free(store: SqlMailStore, account_id: AccountId) -> None:
    async with asyncio.timeout(PATIENCE):
        while await taken(store, account_id):
            await store.ping()


async def test_another_process_keeps_us_out_until_it_lets_go(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    with held_elsewhere(database_url, alice) as process:
        assert await taken(store, alice)
        assert not await taken(store, AccountId(alice + 1))
        process.communicate()
        assert process.returncode == 0
        assert not await taken(store, alice)


async def test_a_killed_process_holds_nothing(database_url: str, store: SqlMailStore, alice: AccountId) -> None:
    with held_elsewhere(database_url, alice) as process:
        process.kill()
        process.wait()
        await until_free(store, alice)


async def test_two_stores_of_one_process_keep_each_other_out(
    database_url: str, store: SqlMailStore, alice: AccountId
) -> None:
    async with opened(database_url) as (_, other):
        async with store.lock_maildrop(alice), store.lock_maildrop(AccountId(alice + 1)):
            assert await taken(other, alice)
        assert not await taken(other, alice)


async def test_a_session_cancelled_while_it_takes_the_lock_leaves_it_free(
    store: SqlMailStore, alice: AccountId
) -> None:
    for turns in range(6):
        attempt = asyncio.create_task(taken(store, alice))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await until_free(store, alice)


@pytest.mark.postgres
async def test_accounts_beyond_32_bits_have_locks_too(postgres_url: str) -> None:
    async with opened(postgres_url) as (_, store), store.lock_maildrop(AccountId(LOCK_KEYS * 5 + 7)):
        pass


@pytest.mark.postgres
async def test_locks_are_taken_again_with_a_new_connection(postgres_url: str, alice: AccountId) -> None:
    async with opened(postgres_url) as (_, store), opened(postgres_url) as (other_engine, other):
        async with store.lock_maildrop(alice):
            await end_side_connection(other_engine, alice)
            await until_usable(store)
            assert await taken(other, alice)
        assert not await taken(other, alice)


async def end_side_connection(engine: AsyncEngine, account_id: AccountId) -> None:
    """End the backend that holds an account's maildrop."""
    async with engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND objid = :account"
            ),
            {"account": account_id},
        )


async def until_usable(store: SqlMailStore) -> None:
    """Until the side connection is up again: locks are refused meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with store.lock_maildrop(NOBODY):
                    return
            except StoreUnavailable:
                await store.ping()
