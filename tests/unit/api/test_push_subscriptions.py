"""`/api/pushsubscriptions`: whose subscriptions are whose, what is refused, and what is shown."""

from typing import Any

import httpx
import pytest

from relate_accounts.types import Scope, UserId
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import MAX_PUSH_SUBSCRIPTIONS_ITEMS
from tests.support.memory_backend import MemoryBackend
from tests.support.push_browser import SOME_BROWSER, Browser, encode
from tests.unit.api.clients import PUSH_KEY, create_api, create_client, expect_problem

PUSHES = "/api/pushsubscriptions"
BROWSER = SOME_BROWSER


def subscription(endpoint: str = "https://push.example.net/send/abc", browser: Browser = BROWSER) -> dict[str, str]:
    return {"endpoint": endpoint, "p256dhKey": browser.keys.p256dh, "authKey": browser.keys.auth}


async def subscribe(client: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    response = await client.post(PUSHES, json=subscription(**changed))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_the_public_key_needs_no_login(world: MemoryBackend) -> None:
    async with create_client(create_api(world)) as stranger:
        assert (await stranger.get(f"{PUSHES}/vapid-public-key")).json() == {"publicKey": PUSH_KEY.public}


async def test_a_browser_subscribes_is_listed_and_removed(client: httpx.AsyncClient) -> None:
    made = await subscribe(client)
    assert made.keys() == {"id", "endpoint", "created"}
    assert (await client.get(PUSHES)).json() == {"items": [made], "nextCursor": None}
    assert (await client.delete(f"{PUSHES}/{made['id']}")).status_code == 204
    assert (await client.get(PUSHES)).json()["items"] == []
    expect_problem(await client.delete(f"{PUSHES}/{made['id']}"), 404)


async def test_the_same_endpoint_is_one_subscription_with_the_newest_keys(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    other = Browser()
    assert await subscribe(client) == await subscribe(client, browser=other)
    (stored,) = await world.store.push_subscriptions.of_account(alice)
    assert stored.keys == other.keys


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "http://push.example.net/"},
        {"endpoint": "https://"},
        {"endpoint": "https://user@push.example.net/"},
        {"p256dhKey": ""},
        {"p256dhKey": encode(bytes(65))},
        {"p256dhKey": "A" * 129},
        {"p256dhKey": BROWSER.keys.p256dh + "%"},
        {"authKey": encode(bytes(15))},
        {"authKey": 7},
        {"expirationTime": None},
    ],
)
async def test_malformed_subscriptions_are_refused(client: httpx.AsyncClient, changed: dict[str, Any]) -> None:
    body = expect_problem(await client.post(PUSHES, json={**subscription(), **changed}), 422)
    assert BROWSER.keys.auth not in str(body)


async def test_a_user_has_a_limited_number_of_subscriptions(client: httpx.AsyncClient) -> None:
    for number in range(MAX_PUSH_SUBSCRIPTIONS_ITEMS):
        await subscribe(client, endpoint=f"https://push.example.net/{number}")
    expect_problem(await client.post(PUSHES, json=subscription()), 409)


async def test_another_users_subscription_is_not_found(world: MemoryBackend, client: httpx.AsyncClient) -> None:
    made = await subscribe(client)
    async with create_client(create_api(world), "bob") as bob:
        assert (await bob.get(PUSHES)).json()["items"] == []
        expect_problem(await bob.delete(f"{PUSHES}/{made['id']}"), 404)
    assert (await client.get(PUSHES)).json()["items"] == [made]


@pytest.mark.parametrize("scope", [Scope.API_READ, Scope.API_WRITE, Scope.IMAP])
async def test_subscriptions_need_a_key_that_may_create_keys(
    world: MemoryBackend, alice: AccountId, scope: Scope
) -> None:
    await world.accounts.create_key(UserId(alice), "narrow", [scope], secret="narrow")
    async with create_client(create_api(world), "narrow") as narrow:
        expect_problem(await narrow.get(PUSHES), 403)
        expect_problem(await narrow.post(PUSHES, json=subscription()), 403)
