"""Account stores on databases: migrations, statements and failures."""

import asyncio
import gc
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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


async def test_the_migration_creates_the_tables_of_the_store(engine: AsyncEngine) -> None:
    def is_ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or name in schema.metadata.tables

    def differences(connection: Connection) -> Sequence[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_ours})
        found: Sequence[object] = compare_metadata(context, schema.metadata)
        return found

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize(
    "secret", [SqlAccountStore.hash_secret, SqlAccountStore.envelope_secret, SqlAccountStore.sign_in_secret]
)
async def test_a_secret_is_created_once(
    engine: AsyncEngine, secret: Callable[[SqlAccountStore], Awaitable[bytes]]
) -> None:
    stores = [SqlAccountStore(engine) for _ in range(10)]
    made = await asyncio.gather(*map(secret, stores))
    assert len(set(made)) == 1
    assert await secret(SqlAccountStore(engine)) == made[0]


async def test_a_configured_hash_secret_is_not_stored_in_the_database(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine, hash_secret=b"g" * 32)
    assert await store.hash_secret() == b"g" * 32
    async with engine.connect() as connection:
        assert (await connection.execute(schema.secrets.select())).all() == []


async def test_a_user_id_is_never_reused(engine: AsyncEngine) -> None:
    store = SqlAccountStore(engine)
    removed = await store.add_user("alice@example.org")
    await store.create_key(removed.id, "phone", [])
    async with engine.begin() as connection:
        await connection.execute(schema.users.delete())
    with pytest.raises(UserNotFound):
        await store.user_by_address("alice@example.org")
    assert await store.keys(removed.id) == []
    assert (await store.add_user("alice@example.org")).id > removed.id


async def test_an_unverified_address_belongs_to_no_user(engine: AsyncEngine) -> None:
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


async def test_database_errors_raise_one_error_without_their_text(engine: AsyncEngine) -> None:
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
        store.envelope_secret(),
        store.sign_in_secret(),
    ):
        with pytest.raises(AccountsUnavailable) as raised:
            await call
        assert raised.value.temporary
        assert "marked" not in "".join(traceback.format_exception(raised.value)).split("AccountsUnavailable:")[1]


async def test_a_missing_database_raises_accounts_unavailable(tmp_path: Path) -> None:
    removed = tmp_path / "removed"
    for url in (f"sqlite:///{removed / 'accounts.db'}", "postgresql://relate:marked@127.0.0.1:1/relate"):
        engine = open_engine(url)
        if removed.exists():
            removed.rmdir()
        with pytest.raises(AccountsUnavailable) as raised:
            await SqlAccountStore(engine).users()
        assert "marked" not in str(raised.value)
        await engine.dispose()


def _join_workers() -> None:
    """End abandoned SQLite connections and wait for their threads, which report to the loop when they end."""
    gc.collect()
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(5)


async def test_a_connection_that_the_server_terminates_is_replaced(engine: AsyncEngine) -> None:
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
    with pytest.raises(AccountsUnavailable):  # the writer cannot know whether the row was committed
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
