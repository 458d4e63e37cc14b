"""Translates exceptions of the database drivers, and tells which ones mean a lost connection.

The same rules as in `relate_mailstore.sql.driver.errors`, which this package must not import.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from relate_accounts.errors import AccountsUnavailable

# SQLAlchemy does not wrap errors of connecting (OSError, of which TimeoutError is one), nor asyncpg's
# InternalClientError, which is raised while the server closes the connection.
_FAULTS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection was lost, so that a retry on another one may succeed."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return isinstance(error, asyncpg.InternalClientError)


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate database errors within the block. Raises AccountsUnavailable."""
    try:
        yield
    except _FAULTS as error:
        # Without the text and without a cause, because both quote values.
        raise AccountsUnavailable(f"the database is not available: {_describe(error)}") from None


def _describe(error: BaseException) -> str:
    cause = getattr(error, "orig", error)
    return f"{type(cause).__name__} {getattr(cause, 'sqlstate', None) or ''}".rstrip()
