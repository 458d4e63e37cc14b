"""Migrations: on both databases, the same result as the tables in code, safe for concurrent processes."""

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Column, Connection, MetaData, Table, Text, event, insert, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from relate_mailstore.identifiers import thread_id
from relate_mailstore.sql.driver import engine as engine_module
from relate_mailstore.sql.driver import sqlite
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema import migrate as migrate_module
from relate_mailstore.sql.schema.migrate import MIGRATIONS, SchemaTooNew, current_revision, migrate, revisions
from relate_mailstore.sql.schema.rows import index_row
from relate_mailstore.sql.schema.tables import metadata
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId, Flag, MessageId, ModSeq, TextPart
from relate_mime import index_message
from tests.support.factories import simple
from tests.unit.mailstore.sql.helpers import opened_engine

ANN = AccountId(7)
FORMER_COLUMNS: dict[str, TypeEngine[Any]] = {"subscribed": Boolean(), "message_id": Text()}

CONCURRENT_PROCESSES = 4
MIGRATE = """
import asyncio, sys
from relate_mailstore.identifiers import thread_id
from relate_mime import index_message
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate

async def main():
    engine = open_engine(sys.argv[1])
    sys.stdin.read()
    await migrate(engine)
    await engine.dispose()

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


def is_compared(name: str | None, kind: str, parents: object) -> bool:
    return name in metadata.tables if kind == "table" else name != "ix_texts_trigrams"


async def test_migrations_create_the_tables_in_code(engine: AsyncEngine) -> None:
    def compare(connection: Connection) -> object:
        options = {"include_name": is_compared}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []


def test_revisions_are_linear_and_named_like_their_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in script.walk_revisions()] == revisions()[::-1]


async def test_a_current_database_costs_two_queries(engine: AsyncEngine) -> None:
    statements = []
    async with engine.connect():  # the dialect's own first queries
        pass
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await migrate(engine)
    _, version = [statement for statement in statements if not statement.startswith("BEGIN")]
    assert version == "SELECT version_num FROM alembic_version"


async def test_no_query_of_an_empty_database_fails(empty_url: str) -> None:
    failures: list[object] = []
    async with opened_engine(empty_url) as engine:
        event.listen(engine.sync_engine, "handle_error", failures.append)
        assert await migrate(engine)
    assert failures == []


async def test_a_schema_from_the_future_is_refused(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=f"schema 9999.*{revisions()[-1]}"):
        await migrate(engine)


async def test_concurrent_processes_may_migrate(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MIGRATE, empty_url), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(CONCURRENT_PROCESSES)
    ]
    results = await asyncio.gather(*(process.communicate(b"") for process in processes))
    assert [process.returncode for process in processes] == [0] * CONCURRENT_PROCESSES, results
    engine = open_engine(empty_url)
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == [
            revisions()[-1]
        ]
    await engine.dispose()
    assert metadata.tables.keys() <= tables


async def test_a_process_waits_while_another_migrates(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(engine_module, "LOCK_SECONDS", 0.05)
    waits = asyncio.Event()
    monkeypatch.setattr(migrate_module._log, "info", lambda *_, **__: waits.set())
    async with opened_engine(empty_url) as other, opened_engine(empty_url) as engine:
        async with other.begin() as connection:
            if other.dialect.name == "postgresql":
                await connection.execute(migrate_module._LOCK)
            migrating = asyncio.create_task(migrate(engine))
            await waits.wait()
            waits.clear()
            await waits.wait()  # it retries
        await migrating
        assert await current_revision(engine) == revisions()[-1]


@pytest.mark.postgres
async def test_a_statement_of_a_migration_has_no_timeout(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(migrate_module, "_LOCK", text("SELECT pg_sleep(1)"))
    async with opened_engine(empty_postgres_url) as engine:
        await migrate(engine)
        async with engine.connect() as connection:
            with pytest.raises(TimeoutError):
                await connection.execute(text("SELECT pg_sleep(5)"))


async def test_a_failed_migration_changes_nothing(empty_url: str) -> None:
    engine = open_engine(empty_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE expunged (in_the_way INTEGER)"))
    with pytest.raises(Exception, match="not available"):
        await migrate(engine)
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    assert tables == ["expunged"]


async def test_migrated_mail_is_the_same_as_newly_delivered_mail(empty_url: str) -> None:
    raw = simple("Grüße", headers=("Bcc: carol@example.com", "References: <root@a> <x@a>"))
    engine = open_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: run_alembic(sync, "0002"))
        await connection.run_sync(lambda sync: store_as_of_0002(sync, raw))
    await migrate(engine)
    async with open_store(engine) as store:
        inbox = await store.snapshot(ANN)
        (entry,) = inbox.entries
        assert (entry.flags, entry.internal_date, entry.saved, entry.modseq) == (Flag.SEEN, 1_000, 1_000, 7)
        assert (await store.message(ANN, entry.message_id)).message.index == index_message(raw)
        assert await store.headers(ANN, [entry.message_id]) == [raw[: raw.index(b"\r\n\r\n") + 4]]
        (summary,) = await store.summaries(inbox)
        assert (summary.subject, summary.bcc, summary.zone) == ("grüsse", "<carol@example.com>", 120)
        assert summary.thread == thread_id(["root@a"], "", entry.message_id)
        assert await store.containing(inbox, "a SHORT text", TextPart.BODY) == {1}
        assert set(await store.subscriptions(ANN)) == {"INBOX"}
        assert await store.vanished(ANN, inbox.mailbox.id, ModSeq(0)) == [9]
        assert await store.trim_tombstones() == 0
        assert (await store.create_mailbox(ANN, "New")).uid_validity > 78
        assert [mailbox.name for mailbox in await store.mailboxes(ANN)] == ["INBOX", "New", "Old"]
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: run_alembic(sync, "0002", down=True))
        rows = await connection.execute(text("SELECT name, subscribed FROM mailboxes ORDER BY name"))
        assert [(row.name, bool(row.subscribed)) for row in rows] == [("INBOX", True), ("New", False), ("Old", False)]
    await engine.dispose()


async def test_the_trigram_index_of_sqlite_is_merged_rarely(sqlite_url: str) -> None:
    automerge = text("SELECT v FROM texts_trigrams_config WHERE k = 'automerge'")
    async with opened_engine(sqlite_url) as engine, engine.begin() as connection:
        assert await connection.scalar(automerge) == 16
        await connection.run_sync(lambda sync: run_alembic(sync, "0003", down=True))
        assert await connection.scalar(automerge) == 4


def run_alembic(connection: Connection, revision: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, revision)


def store_as_of_0002(connection: Connection, raw: bytes) -> None:
    """Store a mailbox with one message, and another without a subscription, in the schema of revision 0002."""
    index = index_message(raw)
    message_id = UUID(int=5)
    key = {"account_id": ANN, "uid_next": 10, "special_use": "", "octets": len(raw)}
    for name, validity, subscribed in (("INBOX", 77, True), ("Old", 78, False)):
        row = {"name": name, "uid_validity": validity, "highest_modseq": 8, "messages": 1, "subscribed": subscribed}
        connection.execute(insert(columns_of("mailboxes", [*key, *row])), {**key, **row})
    (inbox,) = connection.scalars(text("SELECT id FROM mailboxes WHERE name = 'INBOX'")).all()
    connection.execute(insert(metadata.tables["blobs"]), {"id": message_id, "part": 0, "octets": raw})
    columns = index_row(index, MessageId(message_id))
    for unknown in ("thread", "zone", "header_octets"):
        del columns[unknown]
    columns["message_id"] = columns.pop("header_message_id")
    columns |= {"recipients": json.dumps([index.to, index.cc]), "search": "outdated"}
    columns |= {"id": message_id, "account_id": ANN, "size": len(raw), "received": 1_000, "origin": None}
    connection.execute(insert(columns_of("messages", columns)), columns)
    known = ("account_id", "mailbox_id", "uid", "message_id", "size", "flags", "keywords", "internal_date", "modseq")
    entry = dict(zip(known, (ANN, inbox, 1, message_id, len(raw), 1, "", 1_000, 7), strict=True))
    connection.execute(insert(columns_of("entries", known)), entry)
    connection.execute(
        text("INSERT INTO expunged (account_id, mailbox_id, modseq, uid) VALUES (:account, :mailbox, 8, 9)"),
        {"account": ANN, "mailbox": inbox},
    )


def columns_of(table: str, names: Iterable[str]) -> Table:
    """A table with only these columns, typed as in the current schema where they exist there."""
    current = metadata.tables[table].c
    types = {name: current[name].type if name in current else FORMER_COLUMNS[name] for name in names}
    return Table(table, MetaData(), *(Column(name, kind) for name, kind in types.items()))
