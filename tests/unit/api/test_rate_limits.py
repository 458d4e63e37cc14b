"""The limit of each key, and the fields that tell of it."""

import httpx
from fastapi import FastAPI

from relate_accounts.types import Scope, UserId
from relate_api.access.rate_limits import WINDOW_SECONDS, RateLimiter, Usage
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, create_api, create_client, expect_problem


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(world: MemoryBackend, requests: int) -> FastAPI:
    return create_api(world, requests_per_minute=requests)


def test_a_window_begins_with_the_first_request_and_ends_after_a_minute() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock)
    assert limiter.count("a") == Usage(2, 1, WINDOW_SECONDS, is_exceeded=False)
    clock.now = 59.5
    assert limiter.count("a") == Usage(2, 0, 1, is_exceeded=False)
    assert limiter.count("a") == Usage(2, 0, 1, is_exceeded=True)
    assert limiter.count("b") == Usage(2, 1, WINDOW_SECONDS, is_exceeded=False)
    clock.now = WINDOW_SECONDS
    assert limiter.count("a") == Usage(2, 1, WINDOW_SECONDS, is_exceeded=False)


def test_the_number_of_keys_is_bounded_and_the_least_recent_one_is_forgotten() -> None:
    limiter = RateLimiter(1, Clock(), max_keys=2)
    for key in ("a", "b", "a", "c"):
        limiter.count(key)
    assert len(limiter) == 2
    results = [limiter.count(key) for key in ("a", "b")]
    assert [usage is not None and usage.is_exceeded for usage in results] == [True, False]


async def test_each_response_to_a_key_tells_of_its_limit(world: MemoryBackend, alice: AccountId) -> None:
    app = limited(world, 3)
    async with create_client(app, "alice") as client:
        found = await client.get(EMAILS)
        missing = await client.delete(f"{KEYS}/999999")
    assert found.headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert found.headers["ratelimit"] == '"key";r=2;t=60'
    expect_problem(missing, 404)
    assert missing.headers["ratelimit"].startswith('"key";r=1;t=')


async def test_beyond_the_limit_a_key_is_refused_with_the_time_to_wait(world: MemoryBackend, alice: AccountId) -> None:
    app = limited(world, 1)
    async with create_client(app, "alice") as client:
        assert (await client.get(EMAILS)).status_code == 200
        refused = await client.get(EMAILS)
    assert "this key" in expect_problem(refused, 429)["detail"]
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW_SECONDS
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')


async def test_each_key_has_a_limit_of_its_own_also_of_one_user(world: MemoryBackend, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "second", [Scope.APP], secret="second")
    app = limited(world, 1)
    for key in ("alice", "second", "bob"):
        async with create_client(app, key) as client:
            assert (await client.get(EMAILS)).status_code == 200


async def test_a_request_without_the_scope_counts(world: MemoryBackend, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "reader", [Scope.API_READ], secret="reader")
    async with create_client(limited(world, 1), "reader") as client:
        expect_problem(await client.get(KEYS), 403)
        expect_problem(await client.get(KEYS), 429)


async def test_wrong_keys_and_public_routes_have_no_fields(world: MemoryBackend, anonymous: httpx.AsyncClient) -> None:
    async with create_client(limited(world, 1), "wrong") as client:
        for path in (EMAILS, "/healthz/live"):
            assert "ratelimit" not in (await client.get(path)).headers


async def test_without_a_limit_there_are_no_fields(world: MemoryBackend, alice: AccountId) -> None:
    async with create_client(limited(world, 0), "alice") as client:
        for _ in range(20):
            response = await client.get(EMAILS)
            assert response.status_code == 200
    assert "ratelimit" not in response.headers
