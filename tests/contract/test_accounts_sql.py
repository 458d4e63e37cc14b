"""What only a store with a database can get wrong."""

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_accounts import schema
from relate_accounts.errors import AccountsUnavailable, UserNotFound
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_mailstore.sql.driver.engine import open_engine


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


async def test_the_revision_makes_the_tables_that_the_store_uses(engine: AsyncEngine) -> None:
    def is_ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or name in schema.metadata.tables

    def differences(connection: Connection) -> Sequence[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_ours})
        found: Sequence[object] = compare_metadata(context, schema.metadata)
        return found

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_hash_secret_is_made_once_by_whoever_comes_first(engine: AsyncEngine) -> None:
    stores = [SqlAccountStore(engine) for _ in range(10)]
    made = await asyncio.gather(*(store.hash_secret() for store in stores))
    assert len(set(made)) == 1
    assert await SqlAccountStore(engine).hash_secret() == made[0]


async def test_a_hash_secret_that_is_given_is_not_kept_in_the_database(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine, hash_secret=b"g" * 32)
    assert await store.hash_secret() == b"g" * 32
    async with engine.connect() as connection:
        assert (await connection.execute(schema.secrets.select())).all() == []


async def test_a_user_id_is_never_given_twice(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    gone = await store.add_user("alice@example.org")
    await store.create_key(gone.id, "phone", [])
    async with engine.begin() as connection:
        await connection.execute(schema.users.delete())
    with pytest.raises(UserNotFound):
        await store.user_by_address("alice@example.org")
    assert await store.keys(gone.id) == []
    assert (await store.add_user("alice@example.org")).id > gone.id


async def test_an_address_that_is_not_verified_is_nobodys(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    user = await store.add_user("alice@example.org", aliases=["a@example.com"])
    claimed = schema.addresses.c.address == "a@example.com"
    async with engine.begin() as connection:
        await connection.execute(schema.addresses.update().where(claimed).values(verified=False))
    with pytest.raises(UserNotFound):
        await store.user_by_address("a@example.com")
    assert not await store.has_domain("example.com")
    assert await store.addresses(user.id) == ["alice@example.org"]


async def test_a_read_is_one_statement(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await store.keys_by_prefix(new.key.prefix)
    await store.user_by_address("alice@example.org")
    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]


async def test_trouble_with_the_database_is_one_error_that_quotes_nothing(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    user = await store.add_user("alice@example.org")
    async with engine.begin() as connection:
        await connection.run_sync(schema.metadata.drop_all)
    for call in (
        store.users(),
        store.user_by_address("marked@example.org"),
        store.add_user("marked@example.org", "marked"),
        store.create_key(user.id, "marked", [Scope.IMAP], secret="marked"),
        store.keys_by_prefix("marked"),
        store.has_domain("marked.example"),
        store.hash_secret(),
    ):
        with pytest.raises(AccountsUnavailable) as raised:
            await call
        assert raised.value.temporary
        assert "marked" not in "".join(traceback.format_exception(raised.value)).split("AccountsUnavailable:")[1]


async def test_a_database_that_is_not_there_is_trouble_with_the_database(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for url in (f"sqlite:///{gone / 'accounts.db'}", "postgresql://relate:marked@127.0.0.1:1/relate"):
        engine = open_engine(url)
        if gone.exists():
            gone.rmdir()
        with pytest.raises(AccountsUnavailable) as raised:
            await SqlAccountStore(engine).users()
        assert "marked" not in str(raised.value)
        await engine.dispose()


def _join_workers() -> None:
    """Wait for the threads of SQLite's connections that were given up: their last words need the loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(5)


async def test_a_connection_that_the_server_is_just_ending_is_exchanged_for_another(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    user = await store.add_user("alice@example.org")
    used: list[object] = []

    def break_first(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            return
        used.append(connection.connection.driver_connection)
        if len(used) == 1:
            raise asyncpg.InternalClientError("got result for unknown protocol state 3")

    event.listen(engine.sync_engine, "before_cursor_execute", break_first)
    assert await store.user_by_address("alice@example.org") == user
    assert len({id(connection) for connection in used}) == 2
    used.clear()
    with pytest.raises(AccountsUnavailable):  # who wrote cannot know whether it is written
        await store.touch_keys({1: datetime.now(UTC)})
    await store.touch_keys({1: datetime.now(UTC)})
    assert len({id(connection) for connection in used}) == 2
    await engine.dispose()
    await asyncio.to_thread(_join_workers)


@pytest.mark.postgres
async def test_a_login_survives_a_restart_of_the_database(postgres_url: str) -> None:
    engine, operator = open_engine(postgres_url), open_engine(postgres_url)
    store = SqlAccountStore(engine)
    user = await store.add_user("alice@example.org")
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    async with operator.connect() as connection:
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    assert await store.user_by_address("alice@example.org") == user
    await engine.dispose()
    await operator.dispose()
