"""Room kept on the disk of an SQLite database, so that mail can be removed when the disk is full.

SQLite writes to its log also when it removes. So a file beside the database occupies some room; a removal that finds
the disk full gives it up, has the log taken into the database, and takes back what there is room for then. Nobody else
gets at it: while the disk is short of room, everything but removals makes do with the pages that the database has, free
ones among them, and while the room is given up it is refused. The file is all that is known, and changes only under
SQLite's write lock: so any number of processes share it. Without the file nothing is different from plain SQLite.
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

RESERVED_OCTETS = 8 * 1024 * 1024  # some hundred messages can be removed at once with that
LOG_OCTETS = RESERVED_OCTETS // 2  # that SQLite's log may need, when it is kept short
SHARE = 10  # the reserve is made where it is a tenth of what is free, or less

_CHECKPOINT = text("PRAGMA wal_checkpoint(TRUNCATE)")
# No more pages than there are (SQLite knows how many), and a log of 1 MB, for as long as there is little room.
_LIMITS = {"max_page_count": 1, "wal_autocheckpoint": 256}

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Reserve:
    """The file. It is empty while what it kept is given up, and missing where there never was room for it."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.reserve")
        self._name, self._directory = str(self.path), str(self.path.parent)  # for each transaction asks

    @property
    def octets(self) -> int | None:
        """What it keeps; None without the file."""
        try:
            return os.stat(self._name).st_size  # noqa: PTH116 - half of what a Path takes
        except FileNotFoundError:
            return None

    @property
    def free(self) -> int:
        """Octets that the disk has left, beside these."""
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize

    def is_short(self, octets: int = 0) -> bool:
        """Whether the disk lacks room for so many octets, once in the log and once in the database, and some to spare.

        What is free because the reserve lacks it is no such room.
        """
        kept = self.octets
        return kept is not None and kept + self.free < 2 * (RESERVED_OCTETS + octets)

    def on_begin(self, connection: Connection) -> None:
        """Keep a transaction that is no removal off the last of the room; for SQLAlchemy's event `begin`."""
        options: Any = connection.get_execution_options()
        if options.get(REMOVES):
            _limit(connection, limited=False)
        elif options.get("isolation_level") != "AUTOCOMMIT":
            self.ration(connection)

    def ration(self, connection: Connection, octets: int = 0) -> None:
        """Let a transaction that is about to store so many octets use free pages only, unless there is room.

        Raises OperationalError while the reserve is given up.
        """
        short = self.is_short(octets)
        if short and not self.octets:
            raise _disk_full()
        _limit(connection, limited=short)
        if not short and self.octets not in {None, RESERVED_OCTETS}:
            self._occupy_share()

    def make(self, _: Connection) -> None:
        """Make the file where there is plenty of room; take back what had been given up."""
        if self.octets is not None:
            self.take_back()
        else:
            self._occupy_share()

    def spend(self, connection: Connection, work: Work[T]) -> T:
        """Give up what is kept, for this work."""
        if self.octets:
            os.truncate(self.path, 0)
        return work(connection)

    def take_back(self, _: Connection | None = None) -> None:
        """Occupy what there is room for: half of the whole comes first, then the log, then the other half."""
        kept = self.octets
        if kept is not None:
            wanted = min(max(kept + self.free - LOG_OCTETS, RESERVED_OCTETS - LOG_OCTETS), RESERVED_OCTETS)
            while wanted > max(kept, RESERVED_OCTETS // 64) and not self._occupy(wanted):
                wanted //= 2

    def _occupy_share(self) -> None:
        if self.free >= SHARE * RESERVED_OCTETS:
            self._occupy(RESERVED_OCTETS)

    def _occupy(self, octets: int) -> bool:
        """Have the file occupy so many octets; where that cannot be, it stays as it was."""
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
    """Transactions that remove; where there is no `reserve`, as on PostgreSQL, like any others."""

    def __init__(self, database: Database, reserve: Reserve | None) -> None:
        self._database = database
        self._reserve = reserve

    async def __call__(self, work: Work[T]) -> T:
        """Do `work` as `Database.transact` does, on a full disk with the help of the reserve. Raises StoreFull."""
        reserve = self._reserve
        if reserve is None:
            return await self._database.transact(work, removes=True)
        try:
            result = await self._database.transact(work, removes=True)
        except StoreFull:
            return await self._spend(reserve, work)
        if reserve.is_short():
            await self._settle(reserve)
        return result

    async def _spend(self, reserve: Reserve, work: Work[T]) -> T:
        _log.warning("disk.full", reserve=reserve.octets)
        try:
            return await self._database.transact(partial(reserve.spend, work=work), removes=True)
        finally:
            await self._settle(reserve)

    async def _settle(self, reserve: Reserve) -> None:
        """Make the log short, then the reserve long. What fails here, or ends, is made up for by the next removal."""
        with suppress(StoreUnavailable):
            await self._database.fetch(_CHECKPOINT, {})
        with suppress(StoreUnavailable):
            await self._database.transact(reserve.take_back, removes=True)


async def make_reserve(engine: AsyncEngine) -> None:
    """Make the reserve of an SQLite database, where there is room for it. It is nobody's trouble if there is none."""
    if engine.dialect.name != SQLITE:
        return
    reserve = Reserve(Path(engine.url.database or ""))
    try:
        with database_errors:
            async with engine.execution_options(**{REMOVES: True}).begin() as connection:
                await connection.run_sync(reserve.make)
    except StoreError as error:
        _log.warning("reserve.failed", error=str(error))


def _limit(connection: Connection, *, limited: bool) -> None:
    """Let the transaction use only the pages that the database has, and a short log; or lift that limit."""
    before = connection.info.get(Reserve)
    if limited:
        if before is None:
            connection.info[Reserve] = [_pragma(connection, name) for name in _LIMITS]
        for name, limit in _LIMITS.items():
            _pragma(connection, f"{name}={limit}")
    elif before is not None:
        for name, limit in zip(_LIMITS, before, strict=True):
            _pragma(connection, f"{name}={limit}")
        del connection.info[Reserve]


def _pragma(connection: Connection, text: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {text}").scalar_one()


def _disk_full() -> sqlite3.OperationalError:
    """As SQLite says it."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error
