"""Alice, who asks, and Bob, whose mail is not hers. Their keys are their names, and grant everything but `admin`."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Scope
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import api_over, client_of


@pytest.fixture
def world() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def bob(world: MemoryBackend) -> AccountId:
    user = await world.add_user("bob@example.net", "bob", [Scope.APP])
    return AccountId(user.id)


@pytest.fixture
async def alice(world: MemoryBackend, bob: AccountId) -> AccountId:
    user = await world.add_user("alice@example.org", "alice", [Scope.APP])
    return AccountId(user.id)


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    return api_over(world)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Alice's."""
    async with client_of(app, "alice") as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody's: it has no key."""
    async with client_of(app) as client:
        yield client
