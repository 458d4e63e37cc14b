"""The disk reserve: when its file is created, and how transactions are limited on a nearly full disk."""

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
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.unit.mailstore.sql.helpers import opened_engine

PLENTY_OCTETS = FREE_SPACE_FACTOR * RESERVED_OCTETS


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> PropertyMock:
    """Free octets of the disk."""
    free = PropertyMock(return_value=PLENTY_OCTETS)
    monkeypatch.setattr(DiskReserve, "free", free)
    return free


@pytest.fixture
def reserve(sqlite_url: str) -> DiskReserve:
    return DiskReserve(Path(sqlite_url.removeprefix("sqlite:///")))


def limits(connection: Connection) -> tuple[int, int]:
    """Pages by which the database may grow, and pages of the log before a checkpoint."""
    max_pages, pages, log = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("max_page_count", "page_count", "wal_autocheckpoint")
    )
    return max_pages - pages, log


async def test_file_is_allocated_if_plenty_of_space_is_free(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert reserve.path.stat().st_blocks * 512 == reserve.octets == RESERVED_OCTETS


async def test_file_is_not_created_if_less_space_is_free(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    free.return_value = PLENTY_OCTETS - 1
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert not reserve.path.exists()


async def test_file_that_cannot_be_allocated_is_removed(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported by this file system")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert not reserve.path.exists()


async def test_empty_file_is_reallocated_except_for_the_space_of_the_log(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    reserve.path.touch()
    free.return_value = RESERVED_OCTETS
    async with opened_engine(sqlite_url) as engine:
        await create_reserve(engine)
    assert reserve.octets == RESERVED_OCTETS // 2


async def test_postgresql_has_no_reserve(engine: AsyncEngine, free: PropertyMock) -> None:
    await create_reserve(engine)
    assert free.called == (engine.dialect.name == "sqlite")


async def test_only_removals_may_grow_the_database_on_a_nearly_full_disk(
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


async def test_only_removals_run_while_the_reserve_is_released(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        database = Database(engine)
        reserve.path.touch()
        free.return_value = 2 * RESERVED_OCTETS - 1  # the released space, and the margin less one
        with pytest.raises(StoreFull):
            await database.transact(limits)
        await database.transact(limits, removes=True)
        free.return_value += 1
        await database.transact(limits)  # the refused one has released its lock


async def test_without_the_file_transactions_are_not_limited(
    sqlite_url: str, reserve: DiskReserve, free: PropertyMock
) -> None:
    async with opened_engine(sqlite_url) as engine:
        free.return_value = 0
        more_pages, log = await Database(engine).transact(limits)
    assert more_pages > 0
    assert log != 256


async def test_no_search_text_is_made_in_advance_with_the_last_space(sqlite_url: str, free: PropertyMock) -> None:
    async with opened_engine(sqlite_url) as engine, open_store(engine) as store:
        await store.deliver(delivery(AccountId(1)))
        free.return_value = 2 * RESERVED_OCTETS - 1
        assert await store._parts.make_texts(50) == 0
        free.return_value = 2 * RESERVED_OCTETS
        assert await store._parts.make_texts(50) == 1
