"""Databases, other people's servers, and who runs the queue: one runner, and three on PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from tests.support.databases import (
    database_url,
    postgres_database,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.relay.internet import Internet
from tests.support.relay.system import System

__all__ = [
    "database_url",
    "postgres_database",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]


class Home(NamedTuple):
    """Where a system runs: its database, and the number of its runners."""

    url: str
    runners: int

    def system(self, internet: Internet, **options: Any) -> System:
        """A system here; `options` are those of `System`."""
        return System(self.url, internet, runners=self.runners, **options)


@pytest.fixture
async def internet() -> AsyncIterator[Internet]:
    async with Internet() as started:
        yield started


def _made(request: pytest.FixtureRequest) -> Home:
    database, _, runners = request.param.partition("-")
    return Home(request.getfixturevalue(f"{database}_url"), int(runners))


ON_POSTGRES = pytest.mark.postgres
IN_LONG_RUNS = [pytest.mark.postgres, pytest.mark.long]


@pytest.fixture(
    params=["sqlite-1", pytest.param("postgres-1", marks=IN_LONG_RUNS), pytest.param("postgres-3", marks=ON_POSTGRES)]
)
def home(request: pytest.FixtureRequest) -> Home:
    """Each home in turn, for what depends on the database or on other runners."""
    return _made(request)


@pytest.fixture(
    params=["sqlite-1", pytest.param("postgres-1", marks=IN_LONG_RUNS), pytest.param("postgres-3", marks=IN_LONG_RUNS)]
)
def any_home(request: pytest.FixtureRequest) -> Home:
    """The same for what depends on neither: short runs use SQLite alone."""
    return _made(request)
