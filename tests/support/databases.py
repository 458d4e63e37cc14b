"""Fixtures: a fresh database with the newest schema per test. Import the ones that you use into a `conftest`.

Each database is a copy of a template, which each process migrates once, because migrating again is much slower.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.postgres import NoPostgresError, Server, migrate_url, server, wait_for


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database without open connections."""
    path = tmp_path_factory.mktemp("template") / "relate.db"
    wait_for(migrate_url(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """An SQLite database for one test."""
    shutil.copy(sqlite_template, tmp_path / "relate.db")
    return f"sqlite:///{tmp_path / 'relate.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server for this process; skips the tests where there is none."""
    try:
        with server() as started:
            yield started
    except NoPostgresError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server) -> Iterator[str]:
    """The name of a migrated database without open connections."""
    name = f"relate_template_{uuid4().hex}"
    postgres_server.create_migrated(name)
    yield name
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: Server, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database for one test."""
    yield from _copied(postgres_server, postgres_template)


@pytest.fixture(scope="session")
def postgres_database(postgres_server: Server, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database that the tests of a process share."""
    yield from _copied(postgres_server, postgres_template)


@pytest.fixture(scope="module")
def postgres_queue(postgres_server: Server, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database for the tests of a module that send mail: a queue has no tenants."""
    yield from _copied(postgres_server, postgres_template)


@pytest.fixture
def empty_postgres_url(postgres_server: Server) -> Iterator[str]:
    """A PostgreSQL database without a schema."""
    yield from _copied(postgres_server, "template0")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database for one test, SQLite and PostgreSQL in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def _copied(server: Server, template: str) -> Iterator[str]:
    name = f"relate_{uuid4().hex}"
    yield server.create(name, template)
    server.drop(name)
