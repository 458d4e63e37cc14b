"""Servers in memory for one test, and a product that the tests of a module share."""

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
from tests.support.responsive import WATCHDOG_SETTINGS

__all__ = [
    "database_url",
    "postgres_database",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]

# Without this, floods of commands would print a span each.
QUIET = {"OTEL_SDK_DISABLED": "true", **WATCHDOG_SETTINGS}


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """Capture log events: printing thousands of errors would take longer than causing them."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the servers' development certificate."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
async def servers(certificates: Path) -> AsyncIterator[MailServers]:
    """Servers with stores in memory and the default limits."""
    async with serve_in_memory(certificates) as servers:
        yield servers


@pytest.fixture(scope="module")
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services, running. Modules choose the database by `indirect` parameters: `sqlite`, `postgres`."""
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    database = request.getfixturevalue("postgres_database") if on_postgres else None
    with Product(tmp_path_factory.mktemp("product"), database, **QUIET) as started:
        started.start()
        yield started
