"""What the drivers raise, in two questions: is it the database's trouble, and would another connection do?

The rule is the mail store's (`relate_mailstore.sql.driver.errors`), which this package does not know.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from relate_accounts.errors import AccountsUnavailable

# What SQLAlchemy lets through: all that happens while a connection is made (OSError among it, and TimeoutError), and
# asyncpg's InternalClientError, of a connection that the server is just ending.
_FAULTS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection was found to be gone: another one may do."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return isinstance(error, asyncpg.InternalClientError)


@contextmanager
def database_errors() -> Iterator[None]:
    """`with database_errors():` around every use of the database. Raises AccountsUnavailable."""
    try:
        yield
    except _FAULTS as error:
        # Neither its text nor itself is passed on: both quote values.
        raise AccountsUnavailable(f"the database is not available: {_describe(error)}") from None


def _describe(error: BaseException) -> str:
    cause = getattr(error, "orig", error)
    return f"{type(cause).__name__} {getattr(cause, 'sqlstate', None) or ''}".rstrip()
