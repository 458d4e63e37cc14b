"""Alice's browser, signed in with her key."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.api.clients import create_client
from tests.unit.api.page.browsing import sign_in


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has not signed in."""
    async with create_client(app) as client:
        yield client


@pytest.fixture
async def visitor(stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser in which Alice has signed in."""
    assert (await sign_in(stranger, "alice")).status_code == 303
    return stranger
