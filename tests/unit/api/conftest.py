"""The caller Alice, and Bob with mail of his own. Their keys are their names, and grant everything except `admin`."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Scope
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api, create_client


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
    return create_api(world)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with Alice's key."""
    async with create_client(app, "alice") as client:
        yield client


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with create_client(app) as client:
        yield client
