"""Migrates a database to the newest schema. Concurrent processes take turns under a lock.

All missing revisions are applied in one transaction, on SQLite too: if the process is killed, schema and mail stay as
they were. A revision is a file `NNNN_name.py` with revision "NNNN"; all packages share one linear history.
"""

from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import relate_mailstore
from relate_mailstore.errors import StoreBusy, StoreError, StoreUnavailable
from relate_mailstore.sql.driver.dialects import POSTGRESQL
from relate_mailstore.sql.driver.engine import DATABASE_VARIABLE, describe_url
from relate_mailstore.sql.driver.errors import database_errors

MIGRATIONS = Path(relate_mailstore.__file__).parent / "migrations"
LOCK_KEY = 0x52656C6174654D  # "RelateM": the key of the advisory lock, so that it meets no other application's

_CURRENT = text("SELECT version_num FROM alembic_version")
_LOCK = select(func.pg_advisory_xact_lock(LOCK_KEY))

_log = structlog.get_logger(__name__)


class SchemaTooNew(StoreError):
    """The database was migrated by a newer version of this program."""


async def migrate(engine: AsyncEngine) -> bool:
    """Upgrade to the newest schema; two queries if there is nothing to do. Returns whether the database was new.

    Waits while another process migrates or holds a lock. Raises SchemaTooNew, and StoreUnavailable, which name the
    database.
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
    """The revisions that this program has, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision of the database; None if it has none, or if the query fails, in which case upgrading reports why."""
    try:
        with database_errors:
            async with engine.connect() as connection:
                # Asked first, because a failed query would be reported as an error of each first start.
                if not await connection.run_sync(lambda connection: inspect(connection).has_table("alembic_version")):
                    return None
                current: str | None = await connection.scalar(_CURRENT)
                return current
    except StoreError:
        return None


async def _upgrade(engine: AsyncEngine) -> None:
    """Upgrade in one transaction, so that a failed migration changes nothing. On SQLite, BEGIN takes the lock."""
    with database_errors:
        async with engine.connect() as connection:
            if engine.dialect.name == POSTGRESQL:
                await _disable_command_timeout(connection)
            async with connection.begin():
                if engine.dialect.name == POSTGRESQL:
                    await connection.execute(_LOCK)
                await connection.run_sync(_run_alembic)


async def _disable_command_timeout(connection: AsyncConnection) -> None:
    """Disable the timeout of statements on this connection, because a migration may rewrite whole tables.

    The connection is detached, so that the pool replaces it by one with the usual timeout.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    driver._config = driver._config._replace(command_timeout=None)
    await connection.run_sync(Connection.detach)


def _run_alembic(connection: Connection) -> None:
    # Imported when a migration is due, which it rarely is: with Mako and Pygments, it is a tenth of a service's start.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
