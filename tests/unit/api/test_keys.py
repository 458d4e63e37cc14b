"""`/api/keys`: what is shown, what may be granted, and whose keys they are."""

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
from tests.unit.api.clients import EMAILS, KEYS, client_of, problem_in

FUTURE = "2099-12-31T23:30:00+01:00"


async def create(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(KEYS, json={"name": "phone", "scopes": ["imap", "smtp"], **fields})


async def test_a_new_key_works_and_its_secret_is_shown_once(app: FastAPI, client: httpx.AsyncClient) -> None:
    response = await create(client, scopes=["api:read"])
    assert response.status_code == 201
    made = response.json()
    assert made["key"].startswith(made["details"]["prefix"])
    async with client_of(app, made["key"]) as reader:
        assert (await reader.get(EMAILS)).status_code == 200
    assert made["key"] not in (await client.get(KEYS)).text


async def test_a_key_is_shown_with_all_that_is_known_of_it(client: httpx.AsyncClient) -> None:
    details = (await create(client, expires=FUTURE)).json()["details"]
    assert details.keys() == {"id", "name", "prefix", "scopes", "created", "expires", "revoked", "lastUsed"}
    assert details["scopes"] == ["imap", "smtp"]
    assert details["expires"] == "2099-12-31T22:30:00Z"
    assert details["revoked"] is details["lastUsed"] is None


async def test_keys_are_listed_newest_first_and_only_ones_own(client: httpx.AsyncClient) -> None:
    await create(client)
    listed = (await client.get(KEYS)).json()
    assert [key["name"] for key in listed["items"]] == ["phone", "laptop"]
    assert listed["nextCursor"] is None


async def test_a_revoked_key_stays_in_the_list_and_revoking_is_repeatable(client: httpx.AsyncClient) -> None:
    made = (await create(client)).json()["details"]
    for _ in range(2):
        response = await client.delete(f"{KEYS}/{made['id']}")
        assert (response.status_code, response.content) == (204, b"")
    (shown,) = [key for key in (await client.get(KEYS)).json()["items"] if key["id"] == made["id"]]
    assert shown["revoked"] is not None


async def test_a_key_of_another_user_is_as_missing_as_none(
    world: MemoryBackend, client: httpx.AsyncClient, bob: AccountId
) -> None:
    (theirs,) = await world.accounts.keys(UserId(bob))
    anothers, missing = await client.delete(f"{KEYS}/{theirs.id}"), await client.delete(f"{KEYS}/9999")
    problem_in(anothers, 404)
    assert (anothers.content, anothers.headers) == (missing.content, missing.headers)
    assert (await world.accounts.keys(UserId(bob)))[0].revoked is None


async def test_an_app_grants_all_but_administration(client: httpx.AsyncClient) -> None:
    for scope in set(Scope) - {Scope.ADMIN}:
        assert (await create(client, scopes=[scope])).status_code == 201
    assert "admin" in problem_in(await create(client, scopes=["imap", "admin"]), 403)["detail"]


async def test_an_administrator_grants_what_the_key_itself_has(
    world: MemoryBackend, app: FastAPI, alice: AccountId
) -> None:
    await world.accounts.create_key(UserId(alice), "root", [Scope.ADMIN], secret="root")
    async with client_of(app, "root") as client:
        assert (await create(client, scopes=["admin"])).status_code == 201
        assert "app, imap" in problem_in(await create(client, scopes=["imap", "app", "admin"]), 403)["detail"]


@pytest.mark.parametrize(
    ("wrong", "place"),
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
        ({"last_used": None}, ["body"]),
    ],
)
async def test_a_request_that_is_not_valid_says_where(
    client: httpx.AsyncClient, wrong: dict[str, Any], place: list[str | int]
) -> None:
    (error,) = problem_in(await create(client, **wrong), 422)["errors"]
    assert error["loc"] == place
    assert error["msg"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_beyond_the_calendar_is_refused(client: httpx.AsyncClient, moment: str) -> None:
    assert problem_in(await create(client, expires=moment), 422)["errors"][0]["loc"] == ["body", "expires"]


@pytest.mark.parametrize("key_id", ["0", "-1", "x", "1.5", "9223372036854775808", "9" * 5000])
async def test_what_is_no_id_is_refused(client: httpx.AsyncClient, key_id: str) -> None:
    assert problem_in(await client.delete(f"{KEYS}/{key_id}"), 422)["errors"][0]["loc"] == ["path", "key_id"]


async def test_a_key_that_has_expired_is_refused(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "old", [Scope.APP], utc_now(), secret="old")
    async with client_of(app, "old") as late:
        problem_in(await late.get(KEYS), 401)


async def test_an_expiry_in_the_past_is_refused(client: httpx.AsyncClient) -> None:
    for moment in ("2020-01-01T00:00:00Z", utc_now().isoformat()):
        (error,) = problem_in(await create(client, expires=moment), 422)["errors"]
        assert error["loc"] == ["body", "expires"]
        assert "past" in error["msg"]


async def test_a_key_does_not_outlive_the_key_that_makes_it(
    world: MemoryBackend, app: FastAPI, alice: AccountId
) -> None:
    last = utc_now() + timedelta(days=1)
    await world.accounts.create_key(UserId(alice), "guest", [Scope.APP], last, secret="guest")
    async with client_of(app, "guest") as guest:
        made = [await create(guest, **wanted) for wanted in ({}, {"expires": None}, {"expires": last.isoformat()})]
        earlier = last - timedelta(hours=1)
        sooner = await create(guest, expires=earlier.isoformat())
        refused = await create(guest, expires=(last + timedelta(seconds=1)).isoformat())
    for response in made:
        assert datetime.fromisoformat(response.json()["details"]["expires"]) == last
    assert datetime.fromisoformat(sooner.json()["details"]["expires"]) == earlier
    assert "expires after it" in problem_in(refused, 403)["detail"]


async def test_a_key_that_never_expires_makes_keys_that_never_expire(client: httpx.AsyncClient) -> None:
    assert (await create(client)).json()["details"]["expires"] is None


async def test_keys_stay_when_the_key_that_made_them_is_revoked(
    world: MemoryBackend, app: FastAPI, alice: AccountId, client: httpx.AsyncClient
) -> None:
    maker = await world.accounts.create_key(UserId(alice), "maker", [Scope.APP])
    async with client_of(app, maker.secret) as making:
        made = (await create(making, scopes=["app"])).json()["key"]
    await client.delete(f"{KEYS}/{maker.key.id}")
    async with client_of(app, made) as going_on:
        assert (await going_on.get(KEYS)).status_code == 200


async def test_a_user_with_too_many_keys_is_told_so(client: httpx.AsyncClient) -> None:
    for _ in range(MAX_KEYS_PER_USER - 1):  # one is the client's
        assert (await create(client)).status_code == 201
    assert str(MAX_KEYS_PER_USER) in problem_in(await create(client), 409)["detail"]
