"""Translates the drivers' exceptions into the store's errors.

The driver's message is dropped, because PostgreSQL's DETAIL and asyncpg's messages quote values, and values are mail.
The class and the code of the error remain: the database's manual is indexed by them.
"""

import sqlite3
from types import TracebackType

import asyncpg
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relate_mailstore.errors import StoreBusy, StoreError, StoreFull, StoreUnavailable

# OSError: no connection; TimeoutError: no reply; OverflowError: SQLite's driver, for a number beyond 64 bits;
# InternalClientError: asyncpg, for a connection that the server is closing.
# SQLAlchemy wraps the drivers' errors in StatementError, except while connecting and in direct calls of a driver.
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

# SQLite's names for: a full disk, a quota, a full disk while its WAL index grows.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_BUSY = ("55P03", "SQLITE_BUSY")  # PostgreSQL: lock_not_available
_REFUSED = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation


def translate(error: BaseException) -> StoreError:
    """The store's error for a driver's exception."""
    cause = _cause(error)
    described = " ".join((type(cause).__name__, _code(cause))).strip()
    if _code(cause).startswith(_REFUSED) or isinstance(cause, sqlite3.IntegrityError) or _is_invalid_value(error):
        return StoreError(f"the database refused a row: {described}")
    code = _code(cause)
    kind = StoreFull if code in _FULL else StoreBusy if code in _BUSY else StoreUnavailable
    return kind(f"the database is not available: {described}")


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection was lost, so that a retry on another one may succeed."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, asyncpg.InterfaceError):  # also raised for a wrong call of ours
        return "closed" in str(error)
    return isinstance(error, _LOST)


def _is_invalid_value(error: BaseException) -> bool:
    """Whether a value could not be encoded for the database."""
    return isinstance(error, OverflowError) or (isinstance(error, StatementError) and not isinstance(error, DBAPIError))


def _cause(error: BaseException) -> BaseException:
    """The driver's own exception: SQLAlchemy wraps it once, and its adapter of asyncpg a second time."""
    wrapped = error.orig if isinstance(error, StatementError) else None
    return error if wrapped is None else wrapped.__cause__ or wrapped


def _code(error: BaseException) -> str:
    for name in ("sqlstate", "sqlite_errorname", "errno"):
        if code := getattr(error, name, None):
            return str(code)
    return ""


class _DatabaseErrors:
    """Translates exceptions that leave its `with` block. It has no state, so one instance is enough."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _FAULTS):
            raise translate(error) from None


database_errors = _DatabaseErrors()
"""Every use of a driver is in a block `with database_errors:`."""
