"""How the stores of accounts use their database: transactions, and reads that survive its restart.

Single-statement reads run in autocommit, because BEGIN and ROLLBACK would double their cost.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Executable, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relate_accounts.clock import Now, utc_now
from relate_accounts.driver_errors import database_errors, is_connection_lost


class AccountsDatabase:
    """The base of stores on an engine that the caller opens and disposes of."""

    def __init__(self, engine: AsyncEngine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def _read(self, statement: Executable, **parameters: object) -> Sequence[Row[Any]]:
        with database_errors():
            try:
                return await self._fetch(statement, parameters)
            except Exception as error:
                if not is_connection_lost(error):
                    raise
            # The server was restarted. The pool has invalidated all old connections, so that the next one is new.
            return await self._fetch(statement, parameters)

    async def _fetch(self, statement: Executable, parameters: Mapping[str, object]) -> Sequence[Row[Any]]:
        async with self._autocommit.connect() as connection, _invalidated_if_lost(connection):
            return (await connection.execute(statement, parameters)).all()

    def _insert_once(self, table: Table) -> Executable:
        """An INSERT that ignores a row whose key exists: both dialects have it, by separate functions."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        statement: Executable = dialect.insert(table).on_conflict_do_nothing()
        return statement

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with database_errors():
            async with self._engine.begin() as connection, _invalidated_if_lost(connection):
                yield connection


@asynccontextmanager
async def _invalidated_if_lost(connection: AsyncConnection) -> AsyncIterator[None]:
    """Invalidate a lost connection. SQLAlchemy does so only after errors it knows, else returns it to the pool."""
    try:
        yield
    except Exception as error:
        if is_connection_lost(error):
            await connection.invalidate()
        raise
