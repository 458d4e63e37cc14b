"""The API on an SQLite database of the test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.api.api_server import RunningApi, open_resources, run_api
from tests.support.databases import postgres_server, postgres_template, postgres_url, sqlite_template, sqlite_url

__all__ = ["postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]


@pytest.fixture
async def api(sqlite_url: str) -> AsyncIterator[RunningApi]:
    async with open_resources(sqlite_url) as resources, run_api(resources) as api:
        yield api


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    """A client with Alice's key."""
    async with api.client() as client:
        yield client
