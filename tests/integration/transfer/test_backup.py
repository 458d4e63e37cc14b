"""Backup during delivery, and restore."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from relate import backup
from relate_accounts.sql import SqlAccountStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId, Delivery, Destination, MessageId
from tests.support.postgres import Server
from tests.support.product import ADDRESS, Product

BOB = "bob@example.test"
DELIVERY_TASKS = 4


class DeliveryLoad:
    """Continuous deliveries to two accounts; `digests` lists the committed ones."""

    def __init__(self, store: SqlMailStore, accounts: tuple[AccountId, AccountId]) -> None:
        self._store = store
        self._accounts = accounts
        self.digests: dict[MessageId, str] = {}
        self.started = asyncio.Event()

    async def deliver(self) -> None:
        while True:
            raw = b"Subject: %b\r\n\r\n" % uuid4().hex.encode() + os.urandom(5000).hex().encode() + b"\r\n"
            receipt = await self._store.deliver(Delivery(raw, tuple(map(Destination, self._accounts))))
            self.digests[receipt.message_id] = sha256(raw).hexdigest()
            if len(self.digests) >= 100:
                self.started.set()


@asynccontextmanager
async def under_load(url: str) -> AsyncIterator[DeliveryLoad]:
    engine = open_engine(url)
    accounts = SqlAccountStore(engine)
    alice, bob = [AccountId((await accounts.user_by_address(name)).id) for name in (ADDRESS, BOB)]
    async with open_store(engine) as store:
        load = DeliveryLoad(store, (alice, bob))
        delivering = [asyncio.create_task(load.deliver()) for _ in range(DELIVERY_TASKS)]
        await load.started.wait()
        try:
            yield load
        finally:
            for task in delivering:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    await engine.dispose()


class AccountState(NamedTuple):
    """UIDVALIDITY of each mailbox, and the messages by UID, of an account."""

    uid_validities: dict[str, int]
    uids: dict[int, MessageId]
    digests: dict[MessageId, str]


async def read_account(url: str, address: str) -> AccountState:
    """Read an account; asserts that each mailbox's counts match its entries and that each message is complete."""
    engine = open_engine(url)
    await migrate(engine)
    account = AccountId((await SqlAccountStore(engine).user_by_address(address)).id)
    async with open_store(engine) as store:
        mailboxes = await store.mailboxes(account)
        digests: dict[MessageId, str] = {}
        uids: dict[int, MessageId] = {}
        for mailbox in mailboxes:
            entries = (await store.snapshot(account, mailbox.name)).entries
            assert mailbox.messages == len(entries)
            assert mailbox.octets == sum(entry.size for entry in entries)
            assert all(entry.uid < mailbox.uid_next for entry in entries)
            for entry in entries:
                raw = await (await store.open(account, entry.message_id)).read()
                assert len(raw) == entry.size
                digests[entry.message_id] = sha256(raw).hexdigest()
                uids[entry.uid] = entry.message_id
    await engine.dispose()
    return AccountState({mailbox.name: mailbox.uid_validity for mailbox in mailboxes}, uids, digests)


async def expect_consistent_restore(
    original: str, restored: str, before: dict[MessageId, str], delivered: dict[MessageId, str]
) -> None:
    """Assert that the restored database is a snapshot of the original during the load."""
    for address in (ADDRESS, BOB):
        source, copy = await read_account(original, address), await read_account(restored, address)
        assert copy.uid_validities == source.uid_validities
        assert copy.uids == {uid: source.uids[uid] for uid in range(1, len(copy.uids) + 1)}  # without gaps
        assert before.items() <= copy.digests.items()
        assert copy.digests.items() <= source.digests.items()
        assert source.digests.items() >= delivered.items()
    alices, bobs = await read_account(restored, ADDRESS), await read_account(restored, BOB)
    assert {*alices.digests} == {*bobs.digests}  # no partial delivery


async def run(*arguments: str | Path, **options: object) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,  # type: ignore[arg-type]
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_is_backed_up_under_load_and_restored(product: Product, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    async with under_load(database_url) as load:
        before = dict(load.digests)
        relate = (sys.executable, "-m", "relate")
        await run(*relate, "backup", file, env=product.environment, cwd=product.directory)
        assert len(load.digests) > len(before)  # mail was delivered during the backup
    assert file.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("backup.db?*"))

    (tmp_path / "restored").mkdir()
    restored = f"sqlite:///{tmp_path / 'restored' / 'relate.db'}"
    done = product.relate("restore", str(file), ConnectionStrings__DefaultConnection=restored)
    assert done.returncode == 0, done.stderr
    await expect_consistent_restore(database_url, restored, before, load.digests)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_postgresql_is_backed_up_under_load_and_restored(
    product: Product, database_url: str, postgres_server: Server, tmp_path: Path
) -> None:
    """Uses the commands of docs/storage.md."""
    file, name = tmp_path / "backup.dump", f"relate_{uuid4().hex}"
    async with under_load(database_url) as load:
        before = dict(load.digests)
        await run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={database_url}")
        assert len(load.digests) > len(before)
    restored = postgres_server.create(name)
    try:
        await run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", file)
        await expect_consistent_restore(database_url, restored, before, load.digests)
    finally:
        postgres_server.drop(name)


@pytest.fixture
def database(tmp_path: Path, sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_a_database_in_use_is_not_replaced(database: Path, tmp_path: Path) -> None:
    backup.back_up(database, tmp_path / "backup.db")
    server = sqlite3.connect(database)
    server.execute("PRAGMA journal_mode=WAL")
    server.execute("SELECT count(*) FROM users").fetchone()  # like an idle server's connection
    before = database.stat().st_ino
    with pytest.raises(backup.BackupError, match="stop the services"):
        backup.restore(tmp_path / "backup.db", database, replace=True)
    server.close()
    assert database.stat().st_ino == before
    backup.restore(tmp_path / "backup.db", database, replace=True)
    assert database.stat().st_ino != before


def test_a_database_is_replaced_only_with_the_option_and_renamed(database: Path, tmp_path: Path) -> None:
    backup.back_up(database, tmp_path / "backup.db")
    with sqlite3.connect(database) as changed:
        changed.execute("CREATE TABLE later (number INTEGER)")
    changed.close()
    with pytest.raises(backup.BackupError, match="--replace"):
        backup.restore(tmp_path / "backup.db", database, replace=False)
    restored = backup.restore(tmp_path / "backup.db", database, replace=True)
    assert restored.replaced is not None
    assert "later" in _tables(restored.replaced)
    assert "later" not in _tables(database)


def test_a_stale_wal_is_not_applied_to_the_restored_database(database: Path, tmp_path: Path) -> None:
    """A crash left the WAL, and the administrator deleted the database without it."""
    backup.back_up(database, tmp_path / "backup.db")
    crashed = sqlite3.connect(database)
    crashed.execute("PRAGMA journal_mode=WAL")
    crashed.execute("CREATE TABLE later (number INTEGER)")
    log = database.with_name(f"{database.name}-wal").read_bytes()
    crashed.close()
    database.unlink()
    database.with_name(f"{database.name}-wal").write_bytes(log)
    backup.restore(tmp_path / "backup.db", database, replace=False)
    assert "later" not in _tables(database)


@pytest.mark.parametrize("octets", [b"", b"no database at all", b"SQLite format 3\0" + b"\0" * 4000])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "file").write_bytes(octets)
    with pytest.raises(backup.BackupError):
        backup.restore(tmp_path / "file", tmp_path / "relate.db", replace=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_backup_of_a_newer_version_is_refused(database: Path, tmp_path: Path) -> None:
    with sqlite3.connect(database) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(backup.BackupError, match="9999"):
        backup.restore(database, tmp_path / "new" / "relate.db", replace=False)


def test_a_backup_overwrites_nothing(database: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("mine")
    with pytest.raises(backup.BackupError, match="already exists"):
        backup.back_up(database, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_text() == "mine"


def test_postgresql_commands_are_shown_without_the_password() -> None:
    with pytest.raises(backup.BackupError, match="pg_dump --format=custom") as error:
        backup.database_path("postgresql://relate:tanstaaf@db.example.test:5433/mail", Path("backup.dump"))
    assert "postgresql://relate@db.example.test:5433/mail" in str(error.value)
    assert "tanstaaf" not in str(error.value)


def _tables(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    finally:
        connection.close()
