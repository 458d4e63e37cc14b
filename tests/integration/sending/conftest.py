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


@pytest.fixture(
    params=[
        "sqlite-1",
        pytest.param("postgres-1", marks=[pytest.mark.postgres, pytest.mark.long]),
        pytest.param("postgres-3", marks=pytest.mark.postgres),
    ]
)
def home(request: pytest.FixtureRequest) -> Home:
    database, _, runners = request.param.partition("-")
    return Home(request.getfixturevalue(f"{database}_url"), int(runners))
