"""Fixtures: a store on an empty database, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.types import AccountId
from tests.support.databases import (
    database_url,
    empty_postgres_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.factories import new_account

__all__ = [
    "database_url",
    "empty_postgres_url",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[SqlMailStore]:
    async with open_store(engine) as store:
        yield store


@pytest.fixture
def alice() -> AccountId:
    return new_account()


@pytest.fixture
def bob() -> AccountId:
    return new_account()
