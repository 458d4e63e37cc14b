"""What the drivers raise, translated in one place into the store's errors.

The driver's own text is dropped: PostgreSQL's DETAIL and asyncpg's messages quote values, and values are mail. What
stays is the class and the code of the error, which is what a handbook of the database is searched by.
"""

import sqlite3
from types import TracebackType

import asyncpg
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relate_mailstore.errors import StoreBusy, StoreError, StoreFull, StoreUnavailable

# OSError: no connection; TimeoutError: no answer; OverflowError: SQLite's driver, of a number beyond 64 bits;
# InternalClientError: asyncpg, of a connection that the server is just ending.
# StatementError is all that SQLAlchemy wraps; connecting is not wrapped, nor what is asked of a driver directly.
_FAULTS = (
    StatementError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
    OverflowError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    sqlite3.Error,
)

_LOST = (
    ConnectionError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

# As SQLite says it: of a disk, of a quota, of a disk when it makes its index of the log longer.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_BUSY = ("55P03", "SQLITE_BUSY")  # PostgreSQL: lock_not_available
_REFUSED = ("22", "23")  # classes of SQLSTATE: data exceptions, violated constraints


def translate(error: BaseException) -> StoreError:
    """The store's error for a driver's."""
    cause = _cause(error)
    described = " ".join((type(cause).__name__, _code(cause))).strip()
    if _code(cause).startswith(_REFUSED) or isinstance(cause, sqlite3.IntegrityError) or _is_ours(error):
        return StoreError(f"the database refused a row: {described}")
    code = _code(cause)
    kind = StoreFull if code in _FULL else StoreBusy if code in _BUSY else StoreUnavailable
    return kind(f"the database is not available: {described}")


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection was found to be gone: another one may do."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):  # which is also what a mistake of ours is
        return "closed" in str(error)
    return isinstance(error, _LOST)


def _is_ours(error: BaseException) -> bool:
    """A value that could not even be handed to the database."""
    return isinstance(error, OverflowError) or (isinstance(error, StatementError) and not isinstance(error, DBAPIError))


def _cause(error: BaseException) -> BaseException:
    """The driver's own error, which SQLAlchemy wraps once, and its adapter of asyncpg once more."""
    wrapped = error.orig if isinstance(error, StatementError) else None
    return error if wrapped is None else wrapped.__cause__ or wrapped


def _code(error: BaseException) -> str:
    for name in ("sqlstate", "sqlite_errorname", "errno"):
        if code := getattr(error, name, None):
            return str(code)
    return ""


class _DatabaseErrors:
    """Translates what leaves its `with` block; it keeps nothing, so one serves all."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _FAULTS):
            raise translate(error) from None


database_errors = _DatabaseErrors()
"""`with database_errors:` around every use of a driver."""
