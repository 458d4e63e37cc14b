"""`/api/admin`: what an administrator sees and changes, and what is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.clock import utc_now
from relate_accounts.types import DomainKey, Identity, Scope, UserId
from relate_api.autoconfig.mta_sts import policy_record
from relate_api.installation import Installation, MtaStsSettings
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient, QueueFilter
from relate_mailstore.types import INBOX, AccountId, Delivery
from relate_wire.published import Endpoint
from tests.support.factories import delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, create_api, create_client, expect_problem

ADMIN = "/api/admin"
USERS, DOMAINS, QUEUE = f"{ADMIN}/users", f"{ADMIN}/domains", f"{ADMIN}/queue"
EVENTS, SUPPRESSIONS = f"{ADMIN}/events", f"{ADMIN}/suppressions"


@pytest.fixture
async def admin(world: MemoryBackend, app: FastAPI, alice: AccountId) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of Alice's that grants administration and nothing else."""
    await world.accounts.create_key(UserId(alice), "root", [Scope.ADMIN], secret="root")
    async with create_client(app, "root") as client:
        yield client


async def queue_mail(world: MemoryBackend, account_id: AccountId, *recipients: str) -> list[int]:
    """Queue a message; returns the ids of its recipients."""
    addressed = tuple(OutgoingRecipient(address, address.rpartition("@")[2]) for address in recipients)
    outgoing = Outgoing("alice@example.org", addressed, account_id, header_message_id="m@example.org")
    await world.store.deliver(Delivery(simple(), (), outgoing=outgoing))
    return [row["id"] for row in await rows_of(world)]


async def rows_of(world: MemoryBackend) -> list[dict[str, Any]]:
    page = await world.store.queue.find(QueueFilter(), 100)
    return [{"id": row.recipient_id, "state": row.state.value} for row in page.items]


# --- users


async def test_a_user_is_created_with_mailboxes_and_logs_in_with_a_new_key(
    world: MemoryBackend, app: FastAPI, admin: httpx.AsyncClient
) -> None:
    request = {"address": "Carol@example.org", "displayName": "Carol", "aliases": ["c@example.org"], "quota": 1000}
    response = await admin.post(USERS, json=request)
    assert response.status_code == 201
    created = response.json()
    assert (
        created.items()
        >= {
            "address": "carol@example.org",
            "displayName": "Carol",
            "addresses": ["carol@example.org", "c@example.org"],
            "quota": 1000,
            "disabled": None,
            "usedBytes": 0,
            "messages": 0,
            "usableKeys": 0,
        }.items()
    )
    assert INBOX in [mailbox.name for mailbox in await world.store.mailboxes(AccountId(created["id"]))]
    key = await admin.post(f"{USERS}/{created['id']}/keys", json={"name": "phone", "scopes": ["api:read"]})
    async with create_client(app, key.json()["key"]) as carol:
        assert (await carol.get(EMAILS)).status_code == 200
    assert (await admin.get(f"{USERS}/{created['id']}")).json()["usableKeys"] == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"address": "bob@example.net"}, 409),
        ({"address": "carol@example.org", "aliases": ["bob@example.net"]}, 409),
        ({"address": "gone@example.org"}, 409),
        ({"address": "no address"}, 422),
        ({"address": "a\r\nb@example.org"}, 422),
        ({"address": "x" * 300}, 422),
        ({"address": "carol@example.org", "displayName": "two\nlines"}, 422),
        ({"address": "carol@example.org", "quota": -1}, 422),
        ({"address": "carol@example.org", "quota": 2**63}, 422),
        ({"address": "carol@example.org", "admin": True}, 422),
    ],
)
async def test_a_user_that_cannot_be_created_is_refused(
    world: MemoryBackend, admin: httpx.AsyncClient, request_: dict[str, Any], status: int
) -> None:
    await world.accounts.remove_user((await world.accounts.add_user("gone@example.org")).id)
    before = await world.accounts.users()
    problem = expect_problem(await admin.post(USERS, json=request_), status)
    assert problem["detail"]
    assert await world.accounts.users() == before


async def test_users_are_listed_page_by_page_and_found_by_address(
    world: MemoryBackend, admin: httpx.AsyncClient
) -> None:
    person = await world.accounts.add_identity(Identity("https://id.example.org", "1"), "", "Without address")
    seen: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await admin.get(USERS, params={"limit": 2, **cursor})).json()
        seen += page["items"]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert [user["id"] for user in seen] == sorted(user.id for user in await world.accounts.users())
    assert {"address": "", "displayName": "Without address", "id": person.id}.items() <= seen[-1].items()
    found = (await admin.get(USERS, params={"address": "BOB@example.net"})).json()["items"]
    assert [user["address"] for user in found] == ["bob@example.net"]
    assert (await admin.get(USERS, params={"address": "unknown@example.net"})).json()["items"] == []
    expect_problem(await admin.get(USERS, params={"cursor": "x"}), 422)


async def test_a_patch_changes_what_it_names_only(
    world: MemoryBackend, admin: httpx.AsyncClient, bob: AccountId
) -> None:
    path = f"{USERS}/{bob}"
    assert (await admin.patch(path, json={"quota": 5, "displayName": "Bob"})).json()["quota"] == 5
    assert (await admin.patch(path, json={})).json().items() >= {"quota": 5, "displayName": "Bob"}.items()
    assert (await admin.patch(path, json={"disabled": True})).json()["disabled"] is not None
    assert (await admin.patch(path, json={"quota": None, "displayName": ""})).json()["quota"] is None
    assert (await admin.patch(path, json={"disabled": False})).json()["disabled"] is None
    assert (await world.accounts.user(UserId(bob))).display_name == ""


async def test_a_removed_user_is_gone_with_all_mail_and_keys(
    world: MemoryBackend, app: FastAPI, admin: httpx.AsyncClient, bob: AccountId
) -> None:
    await world.store.deliver(delivery(bob, raw=simple()))
    assert (await admin.delete(f"{USERS}/{bob}")).status_code == 204
    expect_problem(await admin.get(f"{USERS}/{bob}"), 404)
    assert (await world.store.mailboxes(bob))[0].messages == 0
    async with create_client(app, "bob") as client:
        expect_problem(await client.get(EMAILS), 401)
    expect_problem(await admin.post(USERS, json={"address": "bob@example.net"}), 409)


async def test_the_addresses_of_a_removed_user_can_be_freed(admin: httpx.AsyncClient, bob: AccountId) -> None:
    assert (await admin.delete(f"{USERS}/{bob}", params={"free": True})).status_code == 204
    assert (await admin.post(USERS, json={"address": "bob@example.net"})).status_code == 201


async def test_administrators_do_not_lock_themselves_out(admin: httpx.AsyncClient, alice: AccountId) -> None:
    expect_problem(await admin.delete(f"{USERS}/{alice}"), 409)
    expect_problem(await admin.patch(f"{USERS}/{alice}", json={"disabled": True}), 409)
    assert (await admin.get(f"{USERS}/{alice}")).json()["disabled"] is None


async def test_addresses_are_added_and_removed(admin: httpx.AsyncClient, bob: AccountId) -> None:
    path = f"{USERS}/{bob}/addresses"
    added = await admin.post(path, json={"address": "sales/eu@example.net"})
    assert (added.status_code, added.json()) == (201, {"addresses": ["bob@example.net", "sales/eu@example.net"]})
    expect_problem(await admin.post(path, json={"address": "alice@example.org"}), 409)
    removed = await admin.delete(f"{path}/sales%2Feu%40example.net")
    assert removed.json() == {"addresses": ["bob@example.net"]}
    gone = expect_problem(await admin.delete(f"{path}/sales/eu@example.net"), 404)
    assert gone["detail"] == "no such further address of this user"
    primary = expect_problem(await admin.delete(f"{path}/BOB@example.net"), 409)
    assert primary["detail"] == "the primary address stays"
    expect_problem(await admin.delete(f"{path}/alice@example.org"), 404)
    expect_problem(await admin.delete(f"{path}/nonsense"), 422)


@pytest.mark.parametrize("address", ["*@x.test", '"*"@x.test'])
async def test_a_catch_all_is_no_primary_address(admin: httpx.AsyncClient, address: str) -> None:
    assert "catch-all" in expect_problem(await admin.post(USERS, json={"address": address}), 422)["detail"]
    created = await admin.post(USERS, json={"address": "a@x.test", "aliases": [address]})
    assert created.json()["addresses"] == ["a@x.test", "*@x.test"]


async def test_keys_of_a_user_are_listed_created_and_revoked(admin: httpx.AsyncClient, bob: AccountId) -> None:
    path = f"{USERS}/{bob}/keys"
    created = (await admin.post(path, json={"name": "phone", "scopes": ["imap", "admin"]})).json()["details"]
    assert created["scopes"] == ["admin", "imap"]
    assert (await admin.delete(f"{path}/{created['id']}")).status_code == 204
    listed = (await admin.get(path)).json()["items"]
    assert [(key["name"], key["revoked"] is None) for key in listed] == [("phone", False), ("laptop", True)]
    expect_problem(await admin.delete(f"{path}/999999"), 404)


async def test_a_key_of_another_user_is_not_found_below_a_user(
    world: MemoryBackend, admin: httpx.AsyncClient, alice: AccountId, bob: AccountId
) -> None:
    (bobs,) = await world.accounts.keys(UserId(bob))
    expect_problem(await admin.delete(f"{USERS}/{alice}/keys/{bobs.id}"), 404)
    assert (await world.accounts.keys(UserId(bob)))[0].revoked is None


async def test_a_key_expires_no_later_than_the_administrators(
    world: MemoryBackend, app: FastAPI, alice: AccountId, bob: AccountId
) -> None:
    limit = utc_now() + timedelta(days=1)
    await world.accounts.create_key(UserId(alice), "short", [Scope.ADMIN], limit, secret="short")
    async with create_client(app, "short") as short:
        created = await short.post(f"{USERS}/{bob}/keys", json={"name": "x", "scopes": ["imap"]})
    assert created.json()["details"]["expires"] is not None


@pytest.mark.parametrize("path", ["", "/addresses/x@example.org", "/keys", "/keys/1"])
async def test_an_unknown_user_is_not_found(admin: httpx.AsyncClient, path: str) -> None:
    method = "GET" if path in {"", "/keys"} else "DELETE"
    expect_problem(await admin.request(method, f"{USERS}/999999{path}"), 404)
    expect_problem(await admin.request(method, f"{USERS}/{2**63}{path}"), 422)


# --- domains


async def test_domains_are_added_once_and_listed_with_their_keys(
    world: MemoryBackend, admin: httpx.AsyncClient
) -> None:
    for _ in range(2):
        response = await admin.post(DOMAINS, json={"name": "Bücher.example"})
        assert response.status_code == 201
    assert response.json()["name"] == "xn--bcher-kva.example"
    records = {"s._domainkey.example.org": "v=DKIM1; p=abc"}
    await world.accounts.add_domain_key(DomainKey("example.org", "s", records))
    listed = {domain["name"]: domain for domain in (await admin.get(DOMAINS)).json()["items"]}
    assert listed.keys() == {"xn--bcher-kva.example", "example.org", "example.net"}
    assert listed["example.org"]["keys"][0].items() >= {"selector": "s", "records": records}.items()
    (dkim,) = [line for line in listed["example.org"]["dnsRecords"] if "_domainkey" in line]
    assert dkim == 's._domainkey.example.org. IN TXT "v=DKIM1; p=abc"'
    assert (listed["example.org"]["added"], listed["example.org"]["addresses"]) == (None, 1)
    expect_problem(await admin.post(DOMAINS, json={"name": "no domain"}), 422)


async def test_a_domain_has_the_records_of_what_is_served(world: MemoryBackend, alice: AccountId) -> None:
    smtp, unreached = Endpoint("mx.example.org", None, 465), Endpoint("localhost", None, None)
    installation = Installation(
        smtp, unreached, unreached, mta_sts=MtaStsSettings(), smarthost=True, api=Endpoint("www.example.org", 80, 443)
    )
    await world.accounts.create_key(UserId(alice), "root", [Scope.ADMIN], secret="root")
    async with create_client(create_api(world, installation=installation), "root") as admin:
        (domain,) = [each for each in (await admin.get(DOMAINS)).json()["items"] if each["name"] == "example.net"]
    assert domain["dnsRecords"] == [
        "example.net. IN MX 10 mx.example.org.",
        'example.net. IN TXT "v=spf1 mx ?all"',
        '_dmarc.example.net. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.net"',
        "_submissions._tcp.example.net. IN SRV 0 1 465 mx.example.org.",
        "autoconfig.example.net. IN CNAME www.example.org.",
        "_autodiscover._tcp.example.net. IN SRV 0 1 443 www.example.org.",
        "mta-sts.example.net. IN CNAME www.example.org.",
        f'_mta-sts.example.net. IN TXT "{policy_record(MtaStsSettings(), "mx.example.org")}"',
    ]


# --- the queue


async def test_the_queue_is_listed_filtered_and_paged(
    world: MemoryBackend, admin: httpx.AsyncClient, alice: AccountId, bob: AccountId
) -> None:
    await queue_mail(world, alice, "x@one.example", "y@two.example")
    ids = await queue_mail(world, bob, "z@two.example")
    first = (await admin.get(QUEUE, params={"limit": 2})).json()
    second = (await admin.get(QUEUE, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [row["id"] for row in (*first["items"], *second["items"])] == ids
    assert second["nextCursor"] is None

    async def matching(**filters: Any) -> list[str]:
        return [row["recipient"] for row in (await admin.get(QUEUE, params=filters)).json()["items"]]

    assert await matching(domain="TWO.example") == ["y@two.example", "z@two.example"]
    assert await matching(domain="two.example", userId=bob) == ["z@two.example"]
    assert await matching(state="held") == []
    assert await matching(olderThanHours=1) == []
    expect_problem(await admin.get(QUEUE, params={"state": "lost"}), 422)
    expect_problem(await admin.get(QUEUE, params={"domain": "no domain"}), 422)


async def test_a_recipient_of_the_queue_is_shown_without_content(
    world: MemoryBackend, admin: httpx.AsyncClient, alice: AccountId
) -> None:
    (recipient_id,) = await queue_mail(world, alice, "x@one.example")
    shown = (await admin.get(f"{QUEUE}/{recipient_id}")).json()
    assert (
        shown.items()
        >= {
            "recipient": "x@one.example",
            "sender": "alice@example.org",
            "headerMessageId": "m@example.org",
            "state": "queued",
            "attempts": 0,
            "userId": alice,
        }.items()
    )
    assert shown["arrived"].endswith("Z")
    expect_problem(await admin.get(f"{QUEUE}/999999"), 404)


async def test_recipients_are_held_released_retried_and_dropped(
    world: MemoryBackend, admin: httpx.AsyncClient, alice: AccountId
) -> None:
    one, two = await queue_mail(world, alice, "x@one.example", "y@two.example")

    async def change(action: str, **selection: Any) -> int:
        changed: int = (await admin.post(f"{QUEUE}/{action}", json=selection)).json()["changed"]
        return changed

    assert await change("hold", domain="one.example") == 1
    assert await rows_of(world) == [{"id": one, "state": "held"}, {"id": two, "state": "queued"}]
    assert await change("release", id=one) == 1
    assert await change("retry", id=999_999) == 0
    assert await change("drop", userId=alice, olderThanHours=0) == 2
    assert await rows_of(world) == []


@pytest.mark.parametrize("action", ["hold", "release", "retry", "drop"])
async def test_a_change_of_the_whole_queue_by_an_empty_filter_is_refused(
    world: MemoryBackend, admin: httpx.AsyncClient, alice: AccountId, action: str
) -> None:
    await queue_mail(world, alice, "x@one.example")
    before = await rows_of(world)
    assert "domain" in expect_problem(await admin.post(f"{QUEUE}/{action}", json={}), 422)["detail"]
    expect_problem(await admin.post(f"{QUEUE}/{action}", json={"state": "queued"}), 422)
    assert await rows_of(world) == before


# --- events


async def test_events_of_all_users_are_listed_and_filtered(
    world: MemoryBackend, admin: httpx.AsyncClient, bob: AccountId
) -> None:
    refused = Event(EventName.REFUSED, 1.0, recipient="x@example.org", client="192.0.2.9", reply="550 no")
    received = Event(EventName.RECEIVED, account_id=bob, sender="s@example.net", header_message_id="1@example.net")
    await world.store.deliver(replace(delivery(bob, raw=simple()), events=(received,)))
    world.store.events.refused([refused])
    await world.store.events.flush()

    async def matching(**filters: Any) -> list[str]:
        return [event["event"] for event in (await admin.get(EVENTS, params=filters)).json()["items"]]

    assert {"refused", "received"} <= set(await matching())
    assert await matching(event="refused") == ["refused"]
    assert await matching(recipient="X@example.org") == ["refused"]
    assert await matching(sender="s@example.net") == ["received"]
    assert await matching(userId=bob, event="received") == ["received"]
    assert await matching(event="refused", since="2020-01-01T00:00:00Z") == []
    (shown,) = (await admin.get(EVENTS, params={"event": "refused"})).json()["items"]
    assert (shown["client"], shown["reply"], shown["time"]) == ("192.0.2.9", "550 no", "1970-01-01T00:00:01Z")
    for wrong in ({"event": "lost"}, {"limit": 101}, {"messageId": "x"}, {"since": "yesterday"}):
        expect_problem(await admin.get(EVENTS, params=wrong), 422)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_of_events_have_each_event_once_although_some_have_the_same_time(
    world: MemoryBackend, admin: httpx.AsyncClient, limit: int
) -> None:
    times = [0.1 + 1_800_000_000 + second for second in (0, 1, 1, 1, 2, 3, 3)]
    world.store.events.refused(
        [Event(EventName.REFUSED, time, client=f"192.0.2.{number}") for number, time in enumerate(times)]
    )
    await world.store.events.flush()
    listed, cursor = list[str](), None
    while True:
        asked: dict[str, Any] = {"limit": limit, "event": "refused"} | ({} if cursor is None else {"cursor": cursor})
        page = (await admin.get(EVENTS, params=asked)).json()
        listed += [event["client"] for event in page["items"]]
        if (cursor := page["nextCursor"]) is None:
            break
    assert sorted(listed) == [f"192.0.2.{number}" for number in range(len(times))]
    newest_first = [times[int(client.rpartition(".")[2])] for client in listed]
    assert newest_first == sorted(times, reverse=True)


# --- suppressions


async def test_suppressions_are_added_listed_and_removed(admin: httpx.AsyncClient) -> None:
    for name in "cab":
        response = await admin.post(SUPPRESSIONS, json={"address": f"{name}@Gone.example", "reason": "asked"})
        assert response.status_code == 201
    assert response.json().items() >= {"address": "b@gone.example", "source": "operator", "expires": None}.items()
    first = (await admin.get(SUPPRESSIONS, params={"limit": 2})).json()
    second = (await admin.get(SUPPRESSIONS, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    listed = [entry["address"] for entry in (*first["items"], *second["items"])]
    assert listed == ["a@gone.example", "b@gone.example", "c@gone.example"]
    assert (await admin.delete(f"{SUPPRESSIONS}/A@gone.example")).status_code == 204
    expect_problem(await admin.delete(f"{SUPPRESSIONS}/a@gone.example"), 404)


@pytest.mark.parametrize(
    "wrong", [{"address": "*@gone.example"}, {"address": "x"}, {"address": "a@b.example", "reason": "a\r\nb"}]
)
async def test_an_invalid_suppression_is_refused(admin: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    expect_problem(await admin.post(SUPPRESSIONS, json=wrong), 422)
    assert (await admin.get(SUPPRESSIONS)).json()["items"] == []
