"""`/api/journeys` and `/api/emails/{id}/journey`: what happened to messages, and who may see it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Scope, UserId
from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.types import AccountId, MessageId
from tests.contract.outgoing import sent
from tests.support.factories import delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_client, expect_problem

JOURNEYS = "/api/journeys"
SECRET = "carol@example.net"


@pytest.fixture
async def carol(world: MemoryBackend) -> AccountId:
    return AccountId((await world.add_user(SECRET, "carol", [Scope.APP])).id)


@pytest.fixture
async def administrator(world: MemoryBackend, app: FastAPI, alice: AccountId) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of Alice's for administration alone."""
    await world.accounts.create_key(UserId(alice), "admin", [Scope.ADMIN], secret="admin")
    async with create_client(app, "admin") as client:
        yield client


def received(sender: str = "dan@a.example", account_id: AccountId | None = None, recipients: int = 1) -> Event:
    detail: Detail = {"octets": 7, "recipients": recipients, "tls": "TLSv1.3"}
    return Event(EventName.RECEIVED, account_id=account_id, sender=sender, client="192.0.2.1", detail=detail)


def delivered(to: AccountId, address: str, sender: str = "dan@a.example") -> Event:
    return Event(EventName.DELIVERED, account_id=to, sender=sender, recipient=address)


async def deliver_to(world: MemoryBackend, *events: Event, header: str = "simple") -> MessageId:
    """Deliver a message to the accounts of its events."""
    accounts = [event.account_id for event in events if event.name is EventName.DELIVERED and event.account_id]
    raw = simple().replace(b"<simple@", b"<%b@" % header.encode())
    return (await world.store.deliver(replace(delivery(*accounts, raw=raw), events=events))).message_id


async def submitted(world: MemoryBackend, alice: AccountId, bob: AccountId, carol: AccountId) -> MessageId:
    """Alice's message to Bob, Carol (in Bcc) and Dan, who is elsewhere."""
    address = "alice@example.org"
    events = (
        received(address, alice, 3),
        delivered(bob, "bob@example.net", address),
        delivered(carol, SECRET, address),
        Event(EventName.QUEUED, account_id=alice, sender=address, recipient="dan@a.example"),
    )
    outgoing = sent(alice, "dan@a.example", local=(bob, carol))
    return (await world.store.deliver(replace(outgoing, events=events))).message_id


async def journey(client: httpx.AsyncClient, message_id: UUID | MessageId) -> dict[str, Any]:
    response = await client.get(f"/api/emails/{message_id}/journey")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """The Message-IDs of a list."""
    response = await client.get(JOURNEYS, params=query)
    assert response.status_code == 200, response.text
    return [item["messageId"].partition("@")[0] for item in response.json()["items"]]


async def test_the_recipient_sees_how_a_message_came(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver_to(world, received(), delivered(alice, "alice@example.org"))
    shown = await journey(client, message_id)
    assert (shown["id"], shown["messageId"], shown["from"]) == (
        str(message_id),
        "simple@example.org",
        "dan@a.example",
    )
    assert [(one["recipient"], one["state"]) for one in shown["recipients"]] == [("alice@example.org", "delivered")]
    steps = shown["steps"]
    assert [step["event"] for step in steps] == ["received", "delivered"]
    assert all(step.keys() == {"event", "time", "service", "recipient", "reply", "traceId", "detail"} for step in steps)
    assert steps[0]["detail"]["client"] == "192.0.2.1"
    assert steps[1]["detail"]["mailbox"] == "INBOX"
    assert steps[0]["time"].endswith("Z")


async def test_no_recipient_learns_of_another(
    world: MemoryBackend, app: FastAPI, alice: AccountId, bob: AccountId, carol: AccountId
) -> None:
    message_id = await submitted(world, alice, bob, carol)
    async with create_client(app, "bob") as client:
        shown = await client.get(f"/api/emails/{message_id}/journey")
        assert [step["event"] for step in shown.json()["steps"]] == ["received", "delivered"]
        lists = [await client.get(JOURNEYS), await client.get(JOURNEYS, params={"messageId": "<simple@example.org>"})]
        assert all(len(response.json()["items"]) == 1 for response in lists)
        for response in (shown, *lists):
            assert SECRET not in response.text
            assert "dan@" not in response.text
            assert '"recipients":3' not in response.text
            assert "192.0.2.1" not in response.text  # of the user who has sent it
        assert await listed(client, to=SECRET) == []  # the question reveals nothing either
        assert await listed(client, to="bob@example.net") == ["simple"]


async def test_the_sender_sees_all_recipients(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId, bob: AccountId, carol: AccountId
) -> None:
    message_id = await submitted(world, alice, bob, carol)
    shown = await journey(client, message_id)
    assert {one["recipient"]: one["state"] for one in shown["recipients"]} == {
        "bob@example.net": "delivered",
        SECRET: "delivered",
        "dan@a.example": "queued",
    }
    assert shown["steps"][0]["detail"]["authenticatedAs"] == "alice@example.org"
    assert await listed(client, to=SECRET) == ["simple"]
    assert await listed(client, **{"from": "Alice@example.org"}) == ["simple"]
    assert await listed(client, **{"from": "dan@a.example"}) == []


async def test_the_mail_of_others_is_not_found(world: MemoryBackend, client: httpx.AsyncClient, bob: AccountId) -> None:
    message_id = await deliver_to(world, received(), delivered(bob, "bob@example.net"))
    expect_problem(await client.get(f"/api/emails/{message_id}/journey"), 404)
    expect_problem(await client.get(f"/api/emails/{uuid4()}/journey"), 404)
    assert await listed(client) == []
    assert await listed(client, messageId="simple@example.org") == []
    assert await listed(client, to="bob@example.net") == []


async def test_a_message_whose_events_were_trimmed_has_an_empty_journey(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    message_id = await deliver_to(world, delivered(alice, "alice@example.org"))
    await world.store.events.trim(1e12)
    assert (await journey(client, message_id))["steps"] == []


async def test_an_administrator_sees_all_mail(
    world: MemoryBackend, administrator: httpx.AsyncClient, alice: AccountId, bob: AccountId, carol: AccountId
) -> None:
    await submitted(world, alice, bob, carol)
    await deliver_to(world, received("eve@a.example"), delivered(bob, "bob@example.net", "eve@a.example"), header="two")
    world.store.events.refused([Event(EventName.REFUSED, recipient="nobody@example.net", reply="550 5.1.1 Unknown")])
    for query, found in (
        ({}, ["", "two", "simple"]),
        ({"messageId": "simple@example.org"}, ["simple"]),
        ({"messageId": "simple@example.org", "to": SECRET}, ["simple"]),
        ({"messageId": "simple@example.org", "to": "eve@a.example"}, []),
        ({"to": SECRET}, ["simple"]),
        ({"to": "bob@example.net"}, ["two", "simple"]),
        ({"from": "EVE@a.example"}, ["two"]),
        ({"from": "eve@a.example", "to": SECRET}, []),
        ({"to": "nobody@example.net"}, [""]),
        ({"since": "2099-01-01T00:00:00Z"}, []),
    ):
        assert await listed(administrator, **query) == found, query
    (item,) = (await administrator.get(JOURNEYS, params={"to": SECRET})).json()["items"]
    assert item["steps"][0]["detail"]["authenticatedAs"] == "alice@example.org"
    assert "Subject" not in str(item)
    expect_problem(await administrator.get(f"/api/emails/{item['id']}/journey"), 403)


@pytest.mark.parametrize("key", ["alice", "admin"])
async def test_pages_show_each_journey_once(
    world: MemoryBackend, app: FastAPI, administrator: httpx.AsyncClient, alice: AccountId, key: str
) -> None:
    for number in range(7):
        await deliver_to(world, received(account_id=alice), delivered(alice, "alice@example.org"), header=f"{number}")
    shown: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    async with create_client(app, key) as client:
        while True:
            page = (await client.get(JOURNEYS, params=query)).json()
            shown += [item["messageId"].partition("@")[0] for item in page["items"]]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
    assert shown == [f"{number}" for number in reversed(range(7))]


async def test_a_key_of_a_mail_client_sees_nothing(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "mail", [Scope.IMAP, Scope.SMTP, Scope.API_WRITE], secret="mail")
    async with create_client(app, "mail") as client:
        expect_problem(await client.get(JOURNEYS), 403)


@pytest.mark.parametrize(
    "query", [{"limit": 51}, {"limit": 0}, {"cursor": "x"}, {"from": "x" * 321}, {"since": "1"}, {"other": "1"}]
)
async def test_what_is_out_of_bounds_is_refused(client: httpx.AsyncClient, query: dict[str, Any]) -> None:
    expect_problem(await client.get(JOURNEYS, params=query), 422)


async def test_a_parameter_that_is_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    expect_problem(await client.get(f"{JOURNEYS}?to=a@a.example&to=b@a.example"), 422)
