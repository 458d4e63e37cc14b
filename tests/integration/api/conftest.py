"""The API over an SQLite database of the test's own."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.api.api_server import Served, resources_on, served
from tests.support.databases import sqlite_template, sqlite_url

__all__ = ["sqlite_template", "sqlite_url"]


@pytest.fixture
async def api(sqlite_url: str) -> AsyncIterator[Served]:
    async with resources_on(sqlite_url) as resources, served(resources) as api:
        yield api


@pytest.fixture
async def client(api: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Alice's."""
    async with api.client() as client:
        yield client
