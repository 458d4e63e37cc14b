"""Houses of a test's own, and products that the tests of a module share; each on a database of its own."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.integration.trouble.servers import MailServers, serve_in_memory
from tests.support.databases import (
    database_url,
    postgres_database,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.product import Product
from tests.support.responsive import WATCHED

__all__ = [
    "database_url",
    "postgres_database",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]

# Floods of commands would become floods of spans on the console.
QUIET = {"OTEL_SDK_DISABLED": "true", **WATCHED}


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged in this process: thousands of errors, which would take longer to print than to cause."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the houses keep their certificate."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
async def servers(certificates: Path) -> AsyncIterator[MailServers]:
    """A house in memory, with the product's own limits."""
    async with serve_in_memory(certificates) as servers:
        yield servers


@pytest.fixture(scope="module")
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services, serving. A module that wants PostgreSQL too says so with `indirect` parameters."""
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    database = request.getfixturevalue("postgres_database") if on_postgres else None
    with Product(tmp_path_factory.mktemp("product"), database, **QUIET) as started:
        started.start()
        yield started
