"""`/api/webhooks`: whose webhooks are whose, what is refused, and what is shown once."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from relate_accounts.types import Scope, UserId
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import MAX_WEBHOOKS_ITEMS, settle
from relate_mailstore.webhook_types import DisabledReason, WebhookReply
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api, create_client, expect_problem

WEBHOOKS = "/api/webhooks"
URL = "https://hooks.example.net/mail?tenant=7"


async def create(client: httpx.AsyncClient, **properties: Any) -> dict[str, Any]:
    response = await client.post(WEBHOOKS, json={"url": URL, "events": ["new", "sent"], **properties})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def test_a_webhook_is_created_shown_changed_and_removed(client: httpx.AsyncClient) -> None:
    created = await create(client, description="The archive")
    details = created["details"]
    assert created["secret"].startswith("whsec_")
    assert details.keys() == {"id", "url", "events", "description", "enabled", "disabledReason", "created"}
    assert (details["url"], details["events"], details["enabled"]) == (URL, ["new", "sent"], True)
    path = f"{WEBHOOKS}/{details['id']}"
    assert (await client.get(path)).json() == details
    assert (await client.get(WEBHOOKS)).json() == {"items": [details], "nextCursor": None}
    changed = await client.patch(path, json={"events": ["bounced"], "enabled": False})
    assert changed.json() == {**details, "events": ["bounced"], "enabled": False}
    assert (await client.delete(path)).status_code == 204
    expect_problem(await client.get(path), 404)
    expect_problem(await client.delete(path), 404)


async def test_a_secret_is_shown_only_when_it_is_made(client: httpx.AsyncClient) -> None:
    created = await create(client)
    path = f"{WEBHOOKS}/{created['details']['id']}"
    rotated = (await client.post(f"{path}/rotate-secret")).json()
    assert rotated["secret"] != created["secret"]
    await client.post(f"{path}/test")
    for response in (await client.get(path), await client.get(WEBHOOKS), await client.get(f"{path}/deliveries")):
        assert "whsec" not in response.text


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.net/",
        "https://",
        "https:///path",
        "https://user:password@hooks.example.net/",
        "https://hooks.example.net:99999/",
        "https://hooks.example.net/\r\nHost: inner",
        "https://hooks.example.net/ü",
        "file:///etc/passwd",
        "https://[::1",
        "https://hooks.example.net/" + "a" * 2048,
    ],
)
async def test_urls_that_are_not_of_the_web_are_refused(client: httpx.AsyncClient, url: str) -> None:
    expect_problem(await client.post(WEBHOOKS, json={"url": url, "events": ["new"]}), 422)


@pytest.mark.parametrize("events", [[], ["test"], ["everything"], ["new"] * 4])
async def test_unknown_events_are_refused(client: httpx.AsyncClient, events: list[str]) -> None:
    expect_problem(await client.post(WEBHOOKS, json={"url": URL, "events": events}), 422)


async def test_a_user_has_a_limited_number_of_webhooks(client: httpx.AsyncClient) -> None:
    for _ in range(MAX_WEBHOOKS_ITEMS):
        await create(client)
    expect_problem(await client.post(WEBHOOKS, json={"url": URL, "events": ["new"]}), 409)


async def test_another_users_webhook_is_not_found(world: MemoryBackend, client: httpx.AsyncClient) -> None:
    details = (await create(client))["details"]
    path = f"{WEBHOOKS}/{details['id']}"
    test = (await client.post(f"{path}/test")).json()
    async with create_client(create_api(world), "bob") as bob:
        assert (await bob.get(WEBHOOKS)).json()["items"] == []
        for response in (
            await bob.get(path),
            await bob.patch(path, json={"enabled": False}),
            await bob.delete(path),
            await bob.post(f"{path}/rotate-secret"),
            await bob.post(f"{path}/test"),
            await bob.get(f"{path}/deliveries"),
            await bob.post(f"{path}/deliveries/{test['id']}/replay"),
        ):
            expect_problem(response, 404)


@pytest.mark.parametrize("scope", [Scope.API_READ, Scope.API_WRITE, Scope.IMAP])
async def test_webhooks_need_a_key_that_may_create_keys(world: MemoryBackend, alice: AccountId, scope: Scope) -> None:
    await world.accounts.create_key(UserId(alice), "narrow", [scope], secret="narrow")
    async with create_client(create_api(world), "narrow") as narrow:
        expect_problem(await narrow.get(WEBHOOKS), 403)
        expect_problem(await narrow.post(WEBHOOKS, json={"url": URL, "events": ["new"]}), 403)


async def test_deliveries_are_listed_in_pages_and_replayed(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = f"{WEBHOOKS}/{(await create(client))['details']['id']}/deliveries"
    for number in range(3):
        world.store.events.add([Event(EventName.RELAYED, account_id=alice, recipient=f"{number}@example.net")])
    (claimed,) = await world.store.webhooks.claim(1)
    await world.store.webhooks.settle(claimed, WebhookReply(200), settle(1, WebhookReply(200), 0.0))
    first = (await client.get(path, params={"limit": "2"})).json()
    second = (await client.get(path, params={"limit": "2", "cursor": first["nextCursor"]})).json()
    listed = [*first["items"], *second["items"]]
    assert [each["state"] for each in listed] == ["pending", "pending", "delivered"]
    assert second["nextCursor"] is None
    oldest = listed[-1]
    assert (oldest["event"], oldest["attempts"], oldest["status"], oldest["error"]) == ("sent", 1, 200, "")
    assert oldest["attempted"]
    replayed = await client.post(f"{path}/{oldest['id']}/replay")
    assert (replayed.status_code, replayed.json()["id"], replayed.json()["state"]) == (202, oldest["id"], "pending")
    assert (await client.get(path)).json()["items"][0]["id"] == oldest["id"]
    expect_problem(await client.post(f"{path}/{uuid4()}/replay"), 404)


async def test_a_disabled_webhook_says_why(world: MemoryBackend, client: httpx.AsyncClient) -> None:
    details = (await create(client))["details"]
    path = f"{WEBHOOKS}/{details['id']}"
    await client.post(f"{path}/test")
    (claimed,) = await world.store.webhooks.claim(1)
    gone = WebhookReply(410)
    await world.store.webhooks.settle(claimed, gone, settle(1, gone, 0.0))
    shown = (await client.get(path)).json()
    assert (shown["enabled"], shown["disabledReason"]) == (False, DisabledReason.GONE)
    assert (await client.patch(path, json={"enabled": True})).json() == details
