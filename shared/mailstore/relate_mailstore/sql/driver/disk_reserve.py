"""Disk space reserved for an SQLite database, so that mail can be removed when the disk is full.

SQLite writes to its log even to delete. So a file beside the database occupies some space. A removal that finds the
disk full truncates the file, checkpoints the log, and then allocates as much of the file again as fits. Only removals
can use the space: while the disk is nearly full, other transactions are limited to the pages that the database has,
including its free ones, and while the file is truncated they are refused. The file's size is the only state, and
changes under SQLite's write lock, so any number of processes can share it. Without the file SQLite behaves as usual.
"""

import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_config.private import open_private
from relate_mailstore.errors import StoreError, StoreFull, StoreUnavailable
from relate_mailstore.sql.driver.database import Database, Work
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.driver.sqlite import REMOVES

RESERVED_OCTETS = 8 * 1024 * 1024  # enough to remove about a hundred messages in one transaction
LOG_OCTETS = RESERVED_OCTETS // 2  # for SQLite's log, while it is limited
FREE_SPACE_FACTOR = 10  # the file is created if ten times its size are free

_CHECKPOINT = text("PRAGMA wal_checkpoint(TRUNCATE)")
# While the disk is nearly full: no more pages than the database has (SQLite raises 1 to that), and a log of 1 MB.
_LIMITS = {"max_page_count": 1, "wal_autocheckpoint": 256}

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class DiskReserve:
    """The file: empty while its space is released, missing if there never was enough space."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.reserve")
        self._name, self._directory = str(self.path), str(self.path.parent)  # each transaction needs them

    @property
    def octets(self) -> int | None:
        """The reserved octets; None without the file."""
        try:
            return os.stat(self._name).st_size  # noqa: PTH116 - half the cost of a Path's
        except FileNotFoundError:
            return None

    @property
    def free(self) -> int:
        """Free octets of the disk, without the reserve."""
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize

    def is_short(self, octets: int = 0) -> bool:
        """Whether the disk lacks space for `octets`, in the log and in the database, with a margin.

        Space that the reserve has released counts as occupied.
        """
        reserved = self.octets
        return reserved is not None and reserved + self.free < 2 * (RESERVED_OCTETS + octets)

    @property
    def is_nearly_full(self) -> bool:
        """Whether the disk has so little space that what can wait shall not take it; also without the file."""
        return (self.octets or 0) + self.free < 2 * RESERVED_OCTETS

    def on_begin(self, connection: Connection) -> None:
        """Limit a transaction that is no removal while the disk is nearly full; for SQLAlchemy's event `begin`."""
        options: Any = connection.get_execution_options()
        if options.get(REMOVES):
            _limit(connection, limited=False)
        elif options.get("isolation_level") != "AUTOCOMMIT":
            self.ration(connection)

    def ration(self, connection: Connection, octets: int = 0) -> None:
        """Limit a transaction that will store `octets` to free pages, unless the disk has space.

        Raises OperationalError while the reserve is released.
        """
        short = self.is_short(octets)
        if short and not self.octets:
            raise _disk_full()
        _limit(connection, limited=short)
        if not short and self.octets not in {None, RESERVED_OCTETS}:
            self._allocate_if_plenty()

    def create(self, _: Connection) -> None:
        """Create the file if there is plenty of space; reallocate one that was released."""
        if self.octets is not None:
            self.reallocate()
        else:
            self._allocate_if_plenty()

    def release(self, connection: Connection, work: Work[T]) -> T:
        """Release the space and run `work` with it."""
        if self.octets:
            os.truncate(self.path, 0)
        return work(connection)

    def reallocate(self, _: Connection | None = None) -> None:
        """Allocate as much of the file as fits: half of it first, then space for the log, then the other half."""
        reserved = self.octets
        if reserved is not None:
            octets = min(max(reserved + self.free - LOG_OCTETS, RESERVED_OCTETS - LOG_OCTETS), RESERVED_OCTETS)
            while octets > max(reserved, RESERVED_OCTETS // 64) and not self._allocate(octets):
                octets //= 2

    def _allocate_if_plenty(self) -> None:
        if self.free >= FREE_SPACE_FACTOR * RESERVED_OCTETS:
            self._allocate(RESERVED_OCTETS)

    def _allocate(self, octets: int) -> bool:
        """Allocate the file's octets; whether that succeeded. On failure it is unchanged."""
        before = self.octets
        try:
            with open(self.path, "ab", opener=open_private) as file:
                os.posix_fallocate(file.fileno(), 0, octets)
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, before) if before is not None else self.path.unlink()
            return False
        return True


class Removals:
    """Runs transactions that remove. Without a `reserve`, as on PostgreSQL, they are like any others."""

    def __init__(self, database: Database, reserve: DiskReserve | None) -> None:
        self._database = database
        self._reserve = reserve

    async def __call__(self, work: Work[T]) -> T:
        """Run `work` as `Database.transact` does, on a full disk with the reserve's space. Raises StoreFull."""
        reserve = self._reserve
        if reserve is None:
            return await self._database.transact(work, removes=True)
        try:
            result = await self._database.transact(work, removes=True)
        except StoreFull:
            return await self._release(reserve, work)
        if reserve.is_short():
            await self._restore(reserve)
        return result

    async def _release(self, reserve: DiskReserve, work: Work[T]) -> T:
        _log.warning("disk.full", reserve=reserve.octets)
        try:
            return await self._database.transact(partial(reserve.release, work=work), removes=True)
        finally:
            await self._restore(reserve)

    async def _restore(self, reserve: DiskReserve) -> None:
        """Truncate the log, then reallocate the reserve. The next removal repeats what fails here."""
        with suppress(StoreUnavailable):
            await self._database.fetch(_CHECKPOINT, {})
        with suppress(StoreUnavailable):
            await self._database.transact(reserve.reallocate, removes=True)


async def create_reserve(engine: AsyncEngine) -> None:
    """Create the reserve of an SQLite database, if there is space. A failure is logged and has no other effect."""
    if engine.dialect.name != SQLITE:
        return
    reserve = DiskReserve(Path(engine.url.database or ""))
    try:
        with database_errors:
            async with engine.execution_options(**{REMOVES: True}).begin() as connection:
                await connection.run_sync(reserve.create)
    except StoreError as error:
        _log.warning("reserve.failed", error=str(error))


def _limit(connection: Connection, *, limited: bool) -> None:
    """Limit the transaction to the pages that the database has, and to a short log; or lift the limit."""
    before = connection.info.get(DiskReserve)
    if limited:
        if before is None:
            connection.info[DiskReserve] = [_pragma(connection, name) for name in _LIMITS]
        for name, limit in _LIMITS.items():
            _pragma(connection, f"{name}={limit}")
    elif before is not None:
        for name, limit in zip(_LIMITS, before, strict=True):
            _pragma(connection, f"{name}={limit}")
        del connection.info[DiskReserve]


def _pragma(connection: Connection, text: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {text}").scalar_one()


def _disk_full() -> sqlite3.OperationalError:
    """The error that SQLite raises itself."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error
