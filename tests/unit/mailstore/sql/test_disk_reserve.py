"""The reserve's file: where it is made and where it is not, and what a connection may do on a short disk."""

import errno
import os
from pathlib import Path
from unittest.mock import PropertyMock

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.errors import StoreFull
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.disk_reserve import FREE_SPACE_FACTOR, RESERVED_OCTETS, DiskReserve, create_reserve
from tests.unit.mailstore.sql.helpers import opened_engine

PLENTY = FREE_SPACE_FACTOR * RESERVED_OCTETS


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> PropertyMock:
    """What is free on the disk."""
    free = PropertyMock(return_value=PLENTY)
    monkeypatch.setattr(DiskReserve, "free", free)
    return free


@pytest.fixture
def reserve(sqlite_url: str) -> DiskReserve:
    return DiskReserve(Path(sqlite_url.removeprefix("sqlite:///")))


def limits(connection: Connection) -> tuple[int, int]:
    """More pages than there are, that may be used; the length of the log that has it taken into the database."""
    limit, there, log = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("max_page_count", "page_count", "wal_autocheckpoint")
    )
    return limit - there, log


async def test_it_occupies_room_where_there_is_plenty(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert reserve.path.stat().st_blocks * 512 == reserve.octets == RESERVED_OCTETS


async def test_it_is_not_made_where_there_is_less(sqlite_url: str, reserve: DiskReserve, free: PropertyMock) -> None:
    free.return_value = PLENTY - 1
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert not reserve.path.exists()


async def test_nothing_is_left_of_one_that_cannot_be_made(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "this file system does not do that")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert not reserve.path.exists()


async def test_an_empty_one_takes_what_there_is_and_leaves_the_log_its_room(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    reserve.path.touch()
    free.return_value = RESERVED_OCTETS
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert reserve.octets == RESERVED_OCTETS // 2


async def test_there_is_none_beside_postgresql(engine: AsyncEngine, free: PropertyMock) -> None:
    await create_reserve(engine)
    assert free.called == (engine.dialect.name == "sqlite")


async def test_on_a_short_disk_only_removals_make_the_database_grow(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        database = Database(engine)
        await create_reserve(engine)
        usual = await database.transact(limits)
        free.return_value = RESERVED_OCTETS - 1
        assert await database.transact(limits) == (0, 256)
        assert await database.transact(limits, removes=True) == usual
        assert await database.transact(limits) == (0, 256)
        free.return_value = RESERVED_OCTETS
        assert await database.transact(limits) == usual


async def test_what_was_given_up_is_for_removals_alone(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        database = Database(engine)
        reserve.path.touch()
        free.return_value = 2 * RESERVED_OCTETS - 1  # all that it kept, and as much as there always is to be
        with pytest.raises(StoreFull):
            await database.transact(limits)
        await database.transact(limits, removes=True)
        free.return_value += 1
        await database.transact(limits)  # the one before left nothing locked


async def test_without_it_a_short_disk_is_used_up(sqlite_url: str, reserve: DiskReserve, free: PropertyMock) -> None:
    async with opened_engine(sqlite_url) as engine:
        free.return_value = 0
        more_pages, log = await Database(engine).transact(limits)
    assert more_pages > 0
    assert log != 256
