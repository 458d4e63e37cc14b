"""Brings a database to the newest schema. Any number of processes may do so at once: they take turns under a lock.

All revisions that are missing are one transaction, on SQLite too: a process that is killed leaves the schema and the
mail as they were, and the next one begins again. A revision is a file `NNNN_name.py` of the migrations with revision
"NNNN"; they form one line, over all packages.
"""

from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import relate_mailstore
from relate_mailstore.errors import StoreBusy, StoreError, StoreUnavailable
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.engine import DATABASE_VARIABLE, describe_url
from relate_mailstore.sql.driver.errors import database_errors

MIGRATIONS = Path(relate_mailstore.__file__).parent / "migrations"
LOCK_KEY = 0x52656C6174654D  # "RelateM": of our advisory lock, so that it meets nobody else's

_CURRENT = text("SELECT version_num FROM alembic_version")
_LOCK = select(func.pg_advisory_xact_lock(LOCK_KEY))


_log = structlog.get_logger(__name__)


class SchemaTooNew(StoreError):
    """The database was migrated by a newer version of this program than the one that runs."""


async def migrate(engine: AsyncEngine) -> bool:
    """Upgrade to the newest schema; one query if there is nothing to do. Whether there was none before: a new database.

    As long as another process migrates, or holds a lock that is needed, this one waits.
    Raises SchemaTooNew, StoreUnavailable, which name the database.
    """
    known = revisions()
    is_new = False
    while (current := await current_revision(engine)) != known[-1]:
        is_new = is_new or current is None
        if current is not None and current not in known:
            raise SchemaTooNew(f"the database has schema {current}, this program knows {known[-1]} at most")
        try:
            await _upgrade(engine)
        except StoreBusy:
            _log.info("migration.waits", hint="another process uses the database")
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error}; {DATABASE_VARIABLE} names {describe_url(engine.url)}") from None
    return is_new


def revisions() -> list[str]:
    """The revisions that this program knows, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision of the database, None if it has none (or cannot be asked, which upgrading will find out)."""
    try:
        with database_errors:
            async with engine.connect() as connection:
                current: str | None = await connection.scalar(_CURRENT)
                return current
    except StoreError:
        return None


async def _upgrade(engine: AsyncEngine) -> None:
    """One transaction, so that a migration that fails leaves nothing behind. SQLite's begin is its lock."""
    with database_errors:
        async with engine.connect() as connection:
            if engine.dialect.name == POSTGRESQL:
                await _let_statements_take_long(connection)
            async with connection.begin():
                if engine.dialect.name == POSTGRESQL:
                    await connection.execute(_LOCK)
                await connection.run_sync(_run_alembic)


async def _let_statements_take_long(connection: AsyncConnection) -> None:
    """A migration changes whole tables, which may take longer than any other statement is given.

    The pool gets a connection with the usual timeout in place of this one.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    driver._config = driver._config._replace(command_timeout=None)
    await connection.run_sync(Connection.detach)


def _run_alembic(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
