"""Migrations: up on both databases, the same as the tables in code, safe for many processes at once."""

import asyncio
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.migrate import MIGRATIONS, SchemaTooNew, migrate, revisions
from relate_mailstore.sql.schema import metadata

PROCESSES = 4
MIGRATE = """
import asyncio, sys
from relate_mailstore.sql.engine import open_engine
from relate_mailstore.sql.migrate import migrate

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


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    return name in metadata.tables if kind == "table" else name != "ix_texts_trigrams"


async def test_the_tables_in_code_are_those_that_migrations_make(engine: AsyncEngine) -> None:
    def compare(connection: Connection) -> object:
        ours = {"include_name": is_ours}
        return compare_metadata(MigrationContext.configure(connection, opts=ours), metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []


def test_revisions_form_one_line_and_are_named_like_their_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in script.walk_revisions()] == revisions()[::-1]


async def test_a_current_database_costs_one_query(engine: AsyncEngine) -> None:
    statements = []
    async with engine.connect():  # the dialect's own first questions
        pass
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await migrate(engine)
    assert [statement for statement in statements if not statement.startswith("BEGIN")] == [
        "SELECT version_num FROM alembic_version"
    ]


async def test_a_schema_from_the_future_is_refused(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=f"schema 9999.*{revisions()[-1]}"):
        await migrate(engine)


async def test_many_processes_may_migrate_at_once(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MIGRATE, empty_url), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    results = await asyncio.gather(*(process.communicate(b"") for process in processes))
    assert [process.returncode for process in processes] == [0] * PROCESSES, results
    engine = open_engine(empty_url)
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == [
            revisions()[-1]
        ]
    await engine.dispose()
    assert metadata.tables.keys() <= tables


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    engine = open_engine(empty_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE expunged (in_the_way INTEGER)"))
    with pytest.raises(Exception, match="not available"):
        await migrate(engine)
    async with engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    assert tables == ["expunged"]
