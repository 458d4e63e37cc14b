"""One suite for every store: `store` is each implementation in turn, `alice` and `bob` are new accounts."""

from collections.abc import AsyncIterator

import pytest

from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.store import SqlMailStore
from relate_mailstore.types import AccountId
from tests.contract.outgoing import Clock
from tests.contract.stores import opened
from tests.support.databases import (
    database_url,
    empty_postgres_url,
    postgres_database,
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
    "postgres_database",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]

# Copying an SQLite file is cheap. A PostgreSQL database is shared; new accounts isolate the tests.
FIXTURES = {"sqlite": "sqlite_url", "postgres": "postgres_database"}
# Runners claim the mail of all accounts: each test of the queue has a database of its own.
FRESH = {"sqlite": "sqlite_url", "postgres": "postgres_url"}
MEMORY = "memory"
SQL = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=SQL)
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database, of each kind in turn."""
    url: str = request.getfixturevalue(FIXTURES[request.param])
    return url


@pytest.fixture(params=SQL)
def fresh_database(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database that no other test uses, of each kind in turn."""
    url: str = request.getfixturevalue(FRESH[request.param])
    return url


@pytest.fixture
async def sql_store(database: str) -> AsyncIterator[MailStore]:
    async with opened(database) as store:
        yield store


@pytest.fixture(params=[MEMORY, *SQL])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[MailStore]:
    if request.param == MEMORY:
        yield MemoryMailStore()
    else:
        async with opened(request.getfixturevalue(FIXTURES[request.param])) as store:
            yield store


@pytest.fixture(params=[MEMORY, *SQL])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[tuple[MailStore, MailStore]]:
    """Two stores on the same database, as in two processes; in memory, the same store twice."""
    if request.param == MEMORY:
        store = MemoryMailStore()
        yield store, store
    else:
        url = request.getfixturevalue(FIXTURES[request.param])
        async with opened(url) as one, opened(url) as other:
            yield one, other


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[MEMORY, *SQL])
async def mail(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[MemoryMailStore | SqlMailStore]:
    """A store on an empty database, with its queue."""
    if request.param == MEMORY:
        yield MemoryMailStore(clock=clock)
    else:
        async with opened(request.getfixturevalue(FRESH[request.param]), clock) as store:
            yield store


@pytest.fixture(params=[MEMORY, *SQL])
async def mails(
    request: pytest.FixtureRequest, clock: Clock
) -> AsyncIterator[tuple[MemoryMailStore | SqlMailStore, MemoryMailStore | SqlMailStore]]:
    """Two stores on an empty database, as in two processes; in memory, the same store twice."""
    if request.param == MEMORY:
        store = MemoryMailStore(clock=clock)
        yield store, store
    else:
        url = request.getfixturevalue(FRESH[request.param])
        async with opened(url, clock) as one, opened(url, clock) as other:
            yield one, other


@pytest.fixture
def alice() -> AccountId:
    return new_account()


@pytest.fixture
def bob() -> AccountId:
    return new_account()
