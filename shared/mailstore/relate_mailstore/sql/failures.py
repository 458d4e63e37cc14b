"""What the drivers raise, translated in one place into the store's errors.

The driver's own text is dropped: PostgreSQL's DETAIL and asyncpg's messages quote values, and values are mail. What
stays is the class and the code of the error, which is what a handbook of the database is searched by.
"""

from types import TracebackType

import asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from relate_mailstore.errors import StoreError, StoreUnavailable

# OSError: no connection; TimeoutError: no answer; OverflowError: SQLite's driver, of a number beyond 64 bits.
# StatementError is all that SQLAlchemy wraps; connecting is not wrapped, nor what is asked of a driver directly.
_FAULTS = (
    StatementError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
    OverflowError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


def translate(error: BaseException) -> StoreError:
    """The store's error for a driver's."""
    described = _describe(error)
    if isinstance(error, DataError | IntegrityError) or _is_ours(error):
        return StoreError(f"the database refused a row: {described}")
    return StoreUnavailable(f"the database is not available: {described}")


def _is_ours(error: BaseException) -> bool:
    """A value that could not even be handed to the database."""
    return isinstance(error, OverflowError) or (isinstance(error, StatementError) and not isinstance(error, DBAPIError))


def _describe(error: BaseException) -> str:
    cause: BaseException | None = error.orig if isinstance(error, StatementError) else error
    if isinstance(error, DBAPIError) and cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__  # SQLAlchemy's asyncpg adapter wraps once more
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or getattr(cause, "errno", None)
    return f"{type(cause).__name__} {code}" if code else type(cause).__name__


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
