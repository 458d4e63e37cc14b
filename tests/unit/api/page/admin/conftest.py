"""The browser of an operator, whose key has the scope `admin` alone."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Scope
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_client
from tests.unit.api.page.browsing import sign_in


@pytest.fixture
async def operator(world: MemoryBackend, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which an operator has signed in."""
    await world.add_user("operator@example.org", "operator", [Scope.ADMIN])
    async with create_client(app) as client:
        await sign_in(client, "operator")
        assert (await client.get("/")).headers["location"] == "/admin"
        yield client
