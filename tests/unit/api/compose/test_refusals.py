"""What the event log tells of mail that the API refuses to send: the user, the recipient, the reason."""

from typing import Any

import httpx
import pytest

from relate_accounts.types import Scope, UserId
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.types import AccountId, Delivery, Receipt
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import CLIENT_ADDRESS, create_api, create_client

SEND = "/api/emails"
BOB = {"address": "bob@example.net"}
NOBODY = {"address": "nobody@example.net"}
UNKNOWN = "019f1e2d-3c4b-7a59-8867-1f2e3d4c5b6a"


async def refusals(world: MemoryBackend) -> list[Event]:
    return [*await world.store.events.find(EventQuery(EventName.REFUSED))]


async def test_each_refused_recipient_is_told_with_its_reason(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    refused = {"to": [BOB, NOBODY], "cc": [{"address": "no address"}], "subject": "Hello"}
    assert (await client.post(SEND, json=refused)).status_code == 422
    assert (await client.post(SEND, json={**refused, "cc": []})).status_code == 422
    (event,) = [each for each in await refusals(world) if each.recipient == NOBODY["address"]]
    assert (event.account_id, event.sender, event.service) == (alice, "alice@example.org", "api")
    assert event.client == CLIENT_ADDRESS
    assert event.reply == "422 there is no such user here"
    assert event.detail == {"command": "POST /api/emails", "recipients": 2}


@pytest.mark.parametrize(
    ("path", "body", "reply"),
    [
        (
            SEND,
            {"to": [BOB], "from": {"address": "eve@example.net"}},
            "422 From must be one of your verified addresses",
        ),
        (SEND, {"to": [BOB], "textBody": "x" * 2_000_000}, "413 a message has at most 1000000 octets"),
        (SEND, {}, "422 the message has no recipient"),
        (f"{SEND}/{UNKNOWN}/reply", {"textBody": "Yes"}, "404 Not Found"),
        (f"{SEND}/{UNKNOWN}/forward", {"to": [BOB]}, "404 Not Found"),
        (f"/api/drafts/{UNKNOWN}/send", {}, "404 Not Found"),
    ],
    ids=["author", "size", "no recipient", "reply", "forward", "draft"],
)
async def test_a_message_that_is_refused_as_a_whole_is_told_once(
    world: MemoryBackend, client: httpx.AsyncClient, path: str, body: dict[str, Any], reply: str
) -> None:
    assert (await client.post(path, json=body)).is_client_error
    (event,) = await refusals(world)
    assert event.reply.startswith(reply)
    assert event.sender == "alice@example.org"
    assert event.detail["command"] == "POST " + path.replace(UNKNOWN, "{email_id}" if SEND in path else "{draft_id}")


async def test_a_key_without_the_scope_is_a_refusal(world: MemoryBackend, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "reader", [Scope.API_READ], secret="reader")
    async with create_client(create_api(world), "reader") as reader:
        assert (await reader.post(SEND, json={"to": [BOB]})).status_code == 403
    (event,) = await refusals(world)
    assert event.reply == "403 the key lacks the scope api:write or app"
    assert event.account_id == alice


async def test_a_key_beyond_its_rate_is_a_refusal(world: MemoryBackend, alice: AccountId) -> None:
    async with create_client(create_api(world, requests_per_minute=1), "alice") as client:
        assert (await client.post(SEND, json={"to": [BOB]})).status_code == 201
        assert (await client.post(SEND, json={"to": [BOB]})).status_code == 429
    (event,) = await refusals(world)
    assert event.reply == "429 too many requests with this key"


async def test_a_wrong_key_is_no_refused_mail(world: MemoryBackend) -> None:
    async with create_client(create_api(world), "wrong") as stranger:
        assert (await stranger.post(SEND, json={"to": [BOB]})).status_code == 401
    assert await refusals(world) == []


async def test_other_requests_are_no_refused_mail(world: MemoryBackend, client: httpx.AsyncClient) -> None:
    assert (await client.put(f"/api/drafts/{UNKNOWN}", json={})).status_code == 404
    assert (await client.get(f"{SEND}/{UNKNOWN}")).status_code == 404
    assert await refusals(world) == []


async def test_a_failure_of_the_store_is_told(
    world: MemoryBackend, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deliver(delivery: Delivery) -> Receipt:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "deliver", deliver)
    assert (await client.post(SEND, json={"to": [BOB]})).status_code == 503
    (event,) = await refusals(world)
    assert (event.reply, event.recipient) == ("503 Service Unavailable", "bob@example.net")
