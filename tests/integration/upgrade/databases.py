"""Databases of older versions, restored from `tests/cases/upgrade` for each test."""

import gzip
import lzma
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import MIGRATIONS
from tests.support.postgres import Server, wait_for

CASES = Path(__file__).parents[2] / "cases" / "upgrade"
COPY_STATEMENT = "COPY "


class OldDatabase(NamedTuple):
    """A database of an older version, with the manifest of its expected contents."""

    url: str
    manifest: Path


def restore_sqlite(directory: Path) -> str:
    """Restore the SQLite database of 0.1.0 into this directory; returns its URL."""
    path = directory / f"{uuid4().hex}.db"
    path.write_bytes(lzma.decompress((CASES / "sqlite" / "relate.db.xz").read_bytes()))
    return f"sqlite:///{path}"


def restore_postgres(server: Server) -> Iterator[str]:
    """Restore the PostgreSQL database of 0.1.0, yield its URL, and drop it."""
    name = f"relate_old_{uuid4().hex}"
    url = server.create(name)
    wait_for(_restore(url, gzip.decompress((CASES / "postgresql" / "relate.sql.gz").read_bytes()).decode()))
    yield url
    server.drop(name)


def downgrade(url: str, revision: str) -> None:
    """Downgrade the schema to a revision."""
    wait_for(_downgrade(url, revision))


async def _restore(url: str, dump: str) -> None:
    """Execute a plain dump as psql does: its statements in order, and the data of COPY."""
    connection = await asyncpg.connect(url)
    statements: list[str] = []
    lines = iter(dump.splitlines(keepends=True))
    for line in lines:
        if line.startswith(COPY_STATEMENT):
            await connection.execute("".join(statements))
            statements.clear()
            table, _, columns = line.removeprefix(COPY_STATEMENT).partition(" (")
            rows = "".join(iter(lambda: next(lines), "\\.\n"))
            await connection.copy_to_table(
                table.removeprefix("public."),
                schema_name="public",
                columns=[name.strip(' "') for name in columns.partition(")")[0].split(",")],
                source=BytesIO(rows.encode()),
            )
        elif not line.startswith("\\"):  # a meta-command of psql
            statements.append(line)
    await connection.execute("".join(statements))
    await connection.close()


async def _downgrade(url: str, revision: str) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(_run_alembic, revision)
    await engine.dispose()


def _run_alembic(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.downgrade(config, revision)
