"""`/api/preferences`: defaults, partial changes, and values that are refused."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_mailstore.types import AccountId
from tests.unit.api.clients import PREFERENCES, create_client, expect_problem

JSON = {"Content-Type": "application/json"}
DEFAULTS = {
    "theme": "system",
    "displayDensity": "comfortable",
    "emailsPerPage": 20,
    "defaultSort": "receivedAt-desc",
    "showPreview": True,
    "groupByDate": False,
    "desktopNotifications": False,
    "emailDigest": False,
    "digestFrequency": "daily",
    "digestTime": "09:00:00",
}
OTHERS = {
    "theme": "dark",
    "displayDensity": "compact",
    "emailsPerPage": 100,
    "defaultSort": "from-asc",
    "showPreview": False,
    "groupByDate": True,
    "desktopNotifications": True,
    "emailDigest": False,
    "digestFrequency": "weekly",
    "digestTime": "23:59:01",
}


async def test_preferences_have_defaults(client: httpx.AsyncClient) -> None:
    response = await client.get(PREFERENCES)
    assert response.status_code == 200
    assert response.json() == DEFAULTS


async def test_all_are_changed_and_kept(client: httpx.AsyncClient) -> None:
    assert (await client.put(PREFERENCES, json=OTHERS)).json() == OTHERS
    assert (await client.get(PREFERENCES)).json() == OTHERS


@pytest.mark.parametrize("name", OTHERS)
async def test_one_is_changed_and_the_others_stay(client: httpx.AsyncClient, name: str) -> None:
    await client.put(PREFERENCES, json={name: OTHERS[name]})
    await client.put(PREFERENCES, json={name: None})
    assert (await client.put(PREFERENCES, json={})).json() == {**DEFAULTS, name: OTHERS[name]}


async def test_a_time_may_be_without_seconds(client: httpx.AsyncClient) -> None:
    assert (await client.put(PREFERENCES, json={"digestTime": "07:30"})).json()["digestTime"] == "07:30:00"


async def test_a_digest_is_refused_because_none_is_sent(client: httpx.AsyncClient) -> None:
    response = await client.put(PREFERENCES, json={"theme": "dark", "emailDigest": True})
    assert "no digests" in expect_problem(response, 409)["detail"]
    assert (await client.get(PREFERENCES)).json() == DEFAULTS


@pytest.mark.parametrize(
    "wrong",
    [
        {"theme": "pink"},
        {"theme": "Dark"},
        {"displayDensity": ""},
        {"emailsPerPage": 9},
        {"emailsPerPage": 101},
        {"defaultSort": "receivedAt"},
        {"showPreview": []},
        {"digestFrequency": "hourly"},
        {"digestTime": "24:00"},
        {"digestTime": "9:00"},
        {"digestTime": "09:00\n"},
        {"colour": "dark"},
    ],
)
async def test_an_unknown_value_is_refused(client: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    expect_problem(await client.put(PREFERENCES, json={"emailsPerPage": 50, **wrong}), 422)
    assert (await client.get(PREFERENCES)).json() == DEFAULTS


async def test_preferences_are_the_users_own(app: FastAPI, client: httpx.AsyncClient, bob: AccountId) -> None:
    await client.put(PREFERENCES, json={"theme": "dark"})
    async with create_client(app, "bob") as other:
        assert (await other.get(PREFERENCES)).json() == DEFAULTS


async def test_a_number_of_emails_is_an_integer_in_any_spelling_of_json(client: httpx.AsyncClient) -> None:
    chosen = await client.put(PREFERENCES, content=b'{"emailsPerPage": 25.0}', headers=JSON)
    assert (chosen.status_code, chosen.json()["emailsPerPage"]) == (200, 25)
    for number in (b"25.5", b"true", b'"25"'):
        response = await client.put(PREFERENCES, content=b'{"emailsPerPage": ' + number + b"}", headers=JSON)
        expect_problem(response, 422)
