"""Threads, changes of many messages, sent mail."""

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.types import Scope, UserId
from relate_api.emails.filters import MAX_BULK_ITEMS
from relate_api.emails.threads import MAX_THREAD_MESSAGES, THREAD_TEXT_OCTETS
from relate_mailstore.types import AccountId, Destination, Flag
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, OWN_EMAILS, create_client, expect_problem


def reply(number: int, body: str = "text\r\n") -> bytes:
    raw = simple(f"reply {number}", headers=("References: <simple@example.org>",), body=body)
    return raw.replace(b"Message-ID: <simple@", b"Message-ID: <reply%d@" % number)


async def deliver(world: MemoryBackend, *to: AccountId | Destination, raw: bytes | None = None, at: int = 0) -> str:
    return str((await world.store.deliver(delivery(*to, raw=raw, internal_date=at))).message_id)


async def test_a_thread_is_found_by_its_id_and_by_each_message(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    root = await deliver(world, alice, raw=simple("root"), at=1)
    answer = await deliver(world, Destination(alice, "Sent"), raw=reply(1), at=2)
    await deliver(world, alice, raw=simple("other").replace(b"<simple@", b"<other@"), at=3)
    await deliver(world, bob, raw=reply(2), at=4)
    thread = (await client.get(f"{OWN_EMAILS}/{root}")).json()["threadId"]
    for identifier in (thread, root, answer):
        response = await client.get(f"{OWN_EMAILS}/threads/{identifier}")
        assert [(row["id"], row["threadId"]) for row in response.json()] == [(root, thread), (answer, thread)]
    assert response.json()[1]["textBody"] == "text\r\n"


async def test_the_thread_id_is_that_of_imap(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    email = await deliver(world, alice)
    entries = (await world.store.snapshot(alice)).entries
    (rendering,) = await world.store.renderings(alice, [entries[0].message_id])
    assert rendering is not None
    assert (await client.get(f"{OWN_EMAILS}/{email}")).json()["threadId"] == rendering.thread


async def test_a_long_thread_has_its_newest_messages_with_short_texts(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    for number in range(MAX_THREAD_MESSAGES + 2):
        await deliver(
            world, alice, raw=reply(number, "x" * (THREAD_TEXT_OCTETS + 1) if number == 50 else ""), at=number
        )
    email = (await client.get(OWN_EMAILS)).json()["items"][0]["id"]
    thread = (await client.get(f"{OWN_EMAILS}/threads/{email}")).json()
    assert [row["subject"] for row in thread] == [f"reply {number}" for number in range(2, MAX_THREAD_MESSAGES + 2)]
    assert (thread[48]["isTruncated"], len(thread[48]["textBody"])) == (True, THREAD_TEXT_OCTETS)


@pytest.mark.parametrize("thread", ["x", "0" * 16, str(UNKNOWN_MESSAGE), "%00"])
async def test_an_unknown_thread_is_not_found(client: httpx.AsyncClient, thread: str) -> None:
    expect_problem(await client.get(f"{OWN_EMAILS}/threads/{thread}"), 404)


async def test_another_users_thread_is_not_found(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    expect_problem(await client.get(f"{OWN_EMAILS}/threads/{await deliver(world, bob)}"), 404)


async def test_messages_are_marked_and_others_skipped(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    own = [await deliver(world, alice) for _ in range(2)]
    theirs = await deliver(world, bob)
    ids = [*own, theirs, str(UNKNOWN_MESSAGE), own[0]]
    for body, flags in (({"emailIds": ids}, Flag.SEEN), ({"emailIds": ids, "isRead": False}, 0)):
        response = await client.post(f"{OWN_EMAILS}/bulk/mark-read", json=body)
        assert (response.status_code, response.content) == (204, b"")
        assert [entry.flags for entry in (await world.store.snapshot(alice)).entries] == [flags, flags]
    assert (await client.get(OWN_EMAILS)).json()["unreadCount"] == 2
    assert (await world.store.snapshot(bob)).entries[0].flags == 0


async def test_messages_are_deleted_and_others_skipped(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    own = [await deliver(world, alice, bob) for _ in range(2)]
    kept = await deliver(world, alice)
    body = {"emailIds": [*own, str(UNKNOWN_MESSAGE), own[0]]}
    response = await client.post(f"{OWN_EMAILS}/bulk/delete", json=body)
    assert (response.status_code, response.json()) == (200, {"deletedCount": 2})
    assert [row["id"] for row in (await client.get(OWN_EMAILS)).json()["items"]] == [kept]
    assert len((await world.store.snapshot(bob)).entries) == 2
    assert (await client.post(f"{OWN_EMAILS}/bulk/delete", json=body)).json() == {"deletedCount": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"emailIds": "x"},
        {"emailIds": ["x"]},
        {"emailIds": [str(UNKNOWN_MESSAGE)] * (MAX_BULK_ITEMS + 1)},
        {"emailIds": [], "other": 1},
    ],
)
@pytest.mark.parametrize("action", ["mark-read", "delete"])
async def test_an_invalid_list_of_messages_is_refused(
    client: httpx.AsyncClient, action: str, body: dict[str, object]
) -> None:
    expect_problem(await client.post(f"{OWN_EMAILS}/bulk/{action}", json=body), 422)


async def test_the_longest_list_of_messages_is_accepted(client: httpx.AsyncClient) -> None:
    body = {"emailIds": [str(UNKNOWN_MESSAGE)] * MAX_BULK_ITEMS}
    assert (await client.post(f"{OWN_EMAILS}/bulk/delete", json=body)).status_code == 200


async def test_sent_mail_lies_in_the_mailbox_of_that_use(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await deliver(world, alice, raw=simple("in", sender="ann@a.example"))
    await world.store.rename_mailbox(alice, "Sent", "Outbox")
    for number, sender in enumerate(("ann@a.example", "Ann <ann@b.example>", "dann@a.example")):
        await deliver(world, Destination(alice, "Outbox"), raw=simple(f"{number}", sender=sender), at=number)

    async def sent(**query: str) -> tuple[list[str], int]:
        page = (await client.get(f"{OWN_EMAILS}/sent", params=query)).json()
        return [row["subject"] for row in page["items"]], page["totalCount"]

    assert await sent() == (["2", "1", "0"], 3)
    assert await sent(fromAddress="ANN@a.example") == (["0"], 1)
    assert await sent(fromAddress="ann@") == ([], 0)
    assert await sent(page="2", pageSize="2") == (["0"], 3)
    addresses = (await client.get(f"{OWN_EMAILS}/sent/addresses")).json()
    assert addresses == ["ann@a.example", "ann@b.example", "dann@a.example"]


async def test_an_account_without_that_mailbox_has_sent_nothing(client: httpx.AsyncClient) -> None:
    page = (await client.get(f"{OWN_EMAILS}/sent", params={"page": 2, "pageSize": 5})).json()
    assert page == {
        "items": [],
        "nextCursor": None,
        "totalCount": 0,
        "unreadCount": 0,
        "page": 2,
        "pageSize": 5,
    }
    assert (await client.get(f"{OWN_EMAILS}/sent/addresses")).json() == []


async def test_both_names_are_the_same_resource(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, alice)
    for path in ("", f"/{email}", f"/{email}/raw", "/search?q=hello", "/sent"):
        one, other = [await client.get(f"{prefix}{path}") for prefix in (OWN_EMAILS, "/api/external/emails")]
        assert (one.status_code, one.content) == (200, other.content)


@pytest.mark.parametrize("prefix", [OWN_EMAILS, EMAILS])
async def test_each_route_requires_its_scope(world: MemoryBackend, alice: AccountId, app: FastAPI, prefix: str) -> None:
    email = await deliver(world, alice)
    for key, scope in (("reader", Scope.API_READ), ("writer", Scope.API_WRITE), ("mail", Scope.IMAP)):
        await world.accounts.create_key(UserId(alice), key, [scope], secret=key)
    ids = {"email_id": email, "attachment_id": "2", "thread_id": email}
    operations = [
        (method.upper(), path.format(**ids))
        for path, methods in app.openapi()["paths"].items()
        if path == prefix or path.startswith(f"{prefix}/")
        for method in methods
    ]
    assert {method for method, _ in operations} == {"GET", "PATCH", "DELETE", "POST"}
    for method, path in operations:
        for key, allowed in (("reader", method == "GET"), ("writer", method != "GET"), ("mail", False)):
            async with create_client(app, key) as client:
                response = await client.request(method, path, params={"unknown": "x"}, json={"unknown": 1})
            assert (response.status_code == 403) is not allowed, (method, path, key)
