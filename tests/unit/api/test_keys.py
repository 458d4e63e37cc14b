"""`/api/keys`: properties of keys, scopes that may be granted, ownership."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.clock import utc_now
from relate_accounts.keys import MAX_KEYS_PER_USER
from relate_accounts.types import Scope, UserId
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, create_client, expect_problem

FUTURE = "2099-12-31T23:30:00+01:00"


async def create(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(KEYS, json={"name": "phone", "scopes": ["imap", "smtp"], **fields})


async def test_a_new_key_works_and_its_secret_is_shown_once(app: FastAPI, client: httpx.AsyncClient) -> None:
    response = await create(client, scopes=["api:read"])
    assert response.status_code == 201
    created = response.json()
    assert created["key"].startswith(created["details"]["prefix"])
    async with create_client(app, created["key"]) as reader:
        assert (await reader.get(EMAILS)).status_code == 200
    assert created["key"] not in (await client.get(KEYS)).text


async def test_a_key_is_returned_with_all_properties(client: httpx.AsyncClient) -> None:
    details = (await create(client, expires=FUTURE)).json()["details"]
    assert details.keys() == {"id", "name", "prefix", "scopes", "created", "expires", "revoked", "lastUsed"}
    assert details["scopes"] == ["imap", "smtp"]
    assert details["expires"] == "2099-12-31T22:30:00Z"
    assert details["revoked"] is details["lastUsed"] is None


async def test_the_callers_keys_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    await create(client)
    listed = (await client.get(KEYS)).json()
    assert [key["name"] for key in listed["items"]] == ["phone", "laptop"]
    assert listed["nextCursor"] is None


async def test_a_revoked_key_stays_listed_and_revoking_is_idempotent(client: httpx.AsyncClient) -> None:
    created = (await create(client)).json()["details"]
    for _ in range(2):
        response = await client.delete(f"{KEYS}/{created['id']}")
        assert (response.status_code, response.content) == (204, b"")
    (shown,) = [key for key in (await client.get(KEYS)).json()["items"] if key["id"] == created["id"]]
    assert shown["revoked"] is not None


async def test_another_users_key_is_not_found(world: MemoryBackend, client: httpx.AsyncClient, bob: AccountId) -> None:
    (bobs_key,) = await world.accounts.keys(UserId(bob))
    foreign, missing = await client.delete(f"{KEYS}/{bobs_key.id}"), await client.delete(f"{KEYS}/9999")
    expect_problem(foreign, 404)
    assert (foreign.content, foreign.headers) == (missing.content, missing.headers)
    assert (await world.accounts.keys(UserId(bob)))[0].revoked is None


async def test_an_app_key_grants_all_scopes_except_admin(client: httpx.AsyncClient) -> None:
    for scope in set(Scope) - {Scope.ADMIN}:
        assert (await create(client, scopes=[scope])).status_code == 201
    assert "admin" in expect_problem(await create(client, scopes=["imap", "admin"]), 403)["detail"]


async def test_an_admin_key_grants_only_its_own_scopes(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "root", [Scope.ADMIN], secret="root")
    async with create_client(app, "root") as client:
        assert (await create(client, scopes=["admin"])).status_code == 201
        assert "app, imap" in expect_problem(await create(client, scopes=["imap", "app", "admin"]), 403)["detail"]


@pytest.mark.parametrize(
    ("wrong", "location"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"name": "x" * 101}, ["body", "name"]),
        ({"name": "two\nlines"}, ["body", "name"]),
        ({"name": "nul\0"}, ["body", "name"]),
        ({"name": 7}, ["body", "name"]),
        ({"scopes": []}, ["body", "scopes"]),
        ({"scopes": ["imap", "root"]}, ["body", "scopes", 1]),
        ({"scopes": "imap"}, ["body", "scopes"]),
        ({"scopes": ["imap"] * 8}, ["body", "scopes"]),
        ({"expires": "soon"}, ["body", "expires"]),
        ({"expires": "2099-01-01"}, ["body", "expires"]),
        ({"expires": "2099-01-01T00:00:00"}, ["body", "expires"]),
        ({"expires": 4_070_908_800}, ["body", "expires"]),
        ({"expires": "4070908800"}, ["body", "expires"]),
        ({"last_used": None}, ["body", "last_used"]),
    ],
)
async def test_an_invalid_request_names_the_location(
    client: httpx.AsyncClient, wrong: dict[str, Any], location: list[str | int]
) -> None:
    (error,) = expect_problem(await create(client, **wrong), 422)["errors"]
    assert error["loc"] == location
    assert error["msg"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_unrepresentable_expiry_is_rejected(client: httpx.AsyncClient, moment: str) -> None:
    assert expect_problem(await create(client, expires=moment), 422)["errors"][0]["loc"] == ["body", "expires"]


@pytest.mark.parametrize("key_id", ["0", "-1", "x", "1.5", "9223372036854775808", "9" * 5000])
async def test_an_invalid_key_id_is_rejected(client: httpx.AsyncClient, key_id: str) -> None:
    assert expect_problem(await client.delete(f"{KEYS}/{key_id}"), 422)["errors"][0]["loc"] == ["path", "key_id"]


async def test_an_expired_key_is_refused(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "old", [Scope.APP], utc_now(), secret="old")
    async with create_client(app, "old") as late:
        expect_problem(await late.get(KEYS), 401)


async def test_an_expiry_in_the_past_is_rejected(client: httpx.AsyncClient) -> None:
    for moment in ("2020-01-01T00:00:00Z", utc_now().isoformat()):
        (error,) = expect_problem(await create(client, expires=moment), 422)["errors"]
        assert error["loc"] == ["body", "expires"]
        assert "past" in error["msg"]


async def test_a_key_expires_no_later_than_its_creating_key(
    world: MemoryBackend, app: FastAPI, alice: AccountId
) -> None:
    limit = utc_now() + timedelta(days=1)
    await world.accounts.create_key(UserId(alice), "guest", [Scope.APP], limit, secret="guest")
    async with create_client(app, "guest") as guest:
        created = [await create(guest, **fields) for fields in ({}, {"expires": None}, {"expires": limit.isoformat()})]
        earlier = limit - timedelta(hours=1)
        sooner = await create(guest, expires=earlier.isoformat())
        refused = await create(guest, expires=(limit + timedelta(seconds=1)).isoformat())
    for response in created:
        assert datetime.fromisoformat(response.json()["details"]["expires"]) == limit
    assert datetime.fromisoformat(sooner.json()["details"]["expires"]) == earlier
    assert "expires later" in expect_problem(refused, 403)["detail"]


async def test_a_key_without_expiry_creates_keys_without_expiry(client: httpx.AsyncClient) -> None:
    assert (await create(client)).json()["details"]["expires"] is None


async def test_keys_stay_valid_when_their_creating_key_is_revoked(
    world: MemoryBackend, app: FastAPI, alice: AccountId, client: httpx.AsyncClient
) -> None:
    creator = await world.accounts.create_key(UserId(alice), "creator", [Scope.APP])
    async with create_client(app, creator.secret) as creator_client:
        created = (await create(creator_client, scopes=["app"])).json()["key"]
    await client.delete(f"{KEYS}/{creator.key.id}")
    async with create_client(app, created) as created_client:
        assert (await created_client.get(KEYS)).status_code == 200


async def test_too_many_keys_are_a_conflict(client: httpx.AsyncClient) -> None:
    for _ in range(MAX_KEYS_PER_USER - 1):  # one is the client's
        assert (await create(client)).status_code == 201
    assert str(MAX_KEYS_PER_USER) in expect_problem(await create(client), 409)["detail"]
