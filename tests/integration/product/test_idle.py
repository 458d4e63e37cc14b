"""An idling IMAP client is notified of changes made with SMTP, POP3 and REST, in any process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.imap.client import ImapClient, logged_in
from tests.support.imap.responses import Response, Value, as_list, as_pairs
from tests.support.product import Product

WITHOUT_TELEMETRY = {"OTEL_SDK_DISABLED": "true"}
DEPLOYMENTS = [("sqlite", "1"), ("sqlite", "2"), pytest.param(("postgres", "2"), marks=pytest.mark.postgres)]


@pytest.fixture(
    scope="module", params=DEPLOYMENTS, ids=["in one process", "in another process", "in another process, PostgreSQL"]
)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services; with two IMAP processes, the idling client may be in another process than the change."""
    kind, workers = request.param
    database = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    with Product(tmp_path_factory.mktemp("idle"), database, Imap__Workers=workers, **WITHOUT_TELEMETRY) as started:
        started.start()
        yield started


def deliver(product: Product, account: Account, *subjects: str) -> None:
    with product.mx() as client:
        for subject in subjects:
            client.send_message(message("ann@example.org", account.address, subject=subject))


@asynccontextmanager
async def idling(product: Product, account: Account) -> AsyncIterator[ImapClient]:
    """A client that idles in INBOX with three messages."""
    await asyncio.to_thread(deliver, product, account, "one", "two", "three")
    async with logged_in(product.ports["Imap__Port"], *account) as client:
        assert [response.number for response in (await client.ok("SELECT INBOX")).of("EXISTS")] == [3]
        tag = await client.idle()
        yield client
        assert (await client.done(tag)).untagged == ()


async def next_response(client: ImapClient) -> Response:
    response = await client.receive()
    assert response is not None
    return response


def flags(response: Response) -> set[Value]:
    """The flags of a FETCH response, except \\Recent."""
    return {*as_list(as_pairs(as_list(response.values[0]))["FLAGS"])} - {b"\\Recent"}


async def test_a_delivery_is_notified(product: Product, alice: Account) -> None:
    async with idling(product, alice) as client:
        await asyncio.to_thread(deliver, product, alice, "four")
        assert (await next_response(client))[1:3] == ("EXISTS", 4)
        assert (await next_response(client))[1:3] == ("RECENT", 4)


async def test_deletions_with_pop3_are_notified(product: Product, alice: Account) -> None:
    def delete() -> None:
        with product.pop3(*alice) as maildrop:
            maildrop.dele(1)
            maildrop.dele(3)

    async with idling(product, alice) as client:
        await asyncio.to_thread(delete)
        assert [(await next_response(client))[1:3] for _ in range(2)] == [("EXPUNGE", 3), ("EXPUNGE", 1)]


async def test_flag_changes_and_deletions_with_the_api_are_notified(product: Product, alice: Account) -> None:
    async with idling(product, alice) as client:
        with product.api(alice.key) as api:
            newest = [f"/emails/{item['id']}" for item in api.get("/emails").json()["items"]]
            for change, announced, expected in (
                ({"isRead": True}, (), {b"\\Seen"}),
                ({"isFlagged": True, "addLabels": ["Work"]}, ("FLAGS", "OK"), {b"\\Seen", b"\\Flagged", b"Work"}),
                ({"isRead": False, "removeLabels": ["Work"]}, (), {b"\\Flagged"}),
            ):
                assert (await asyncio.to_thread(api.patch, newest[0], json=change)).is_success
                for kind in announced:  # FLAGS and PERMANENTFLAGS precede a new keyword
                    assert (await next_response(client)).kind == kind
                response = await next_response(client)
                assert (response.kind, response.number, flags(response)) == ("FETCH", 3, expected)
            assert (await asyncio.to_thread(api.delete, newest[1])).is_success
            assert (await next_response(client))[1:3] == ("EXPUNGE", 2)
            assert (await asyncio.to_thread(api.delete, newest[0])).is_success
            assert (await next_response(client))[1:3] == ("EXPUNGE", 2)


async def test_bulk_changes_with_the_api_are_notified(product: Product, alice: Account) -> None:
    async with idling(product, alice) as client:
        with product.api(alice.key) as api:
            ids = [item["id"] for item in api.get("/emails").json()["items"]]
            marked = await asyncio.to_thread(api.post, "/emails/bulk/mark-read", json={"emailIds": ids[:2]})
            assert marked.status_code == 204
            for number in (2, 3):
                response = await next_response(client)
                assert (response.kind, response.number, flags(response)) == ("FETCH", number, {b"\\Seen"})
            deleted = await asyncio.to_thread(api.post, "/emails/bulk/delete", json={"emailIds": ids[1:]})
            assert deleted.json() == {"deletedCount": 2}
            assert [(await next_response(client))[1:3] for _ in range(2)] == [("EXPUNGE", 2), ("EXPUNGE", 1)]


async def test_the_api_shows_what_imap_stores(product: Product, alice: Account) -> None:
    await asyncio.to_thread(deliver, product, alice, "one", "two")
    with product.api(alice.key) as api:
        (path, _) = [f"/emails/{item['id']}" for item in api.get("/emails").json()["items"]]
        before = api.get(path)
        async with logged_in(product.ports["Imap__Port"], *alice) as client:
            await client.ok("SELECT INBOX")
            await client.ok("STORE 2 +FLAGS (\\Seen Work)")
            shown = (await asyncio.to_thread(api.get, path)).json()
            assert (shown["isRead"], shown["labels"]) == (True, ["Work"])
            stale = {"If-Match": before.headers["etag"]}
            assert (await asyncio.to_thread(api.delete, path, headers=stale)).status_code == 412
            listed = (await asyncio.to_thread(api.get, "/emails")).json()
            assert (listed["totalCount"], listed["unreadCount"]) == (2, 1)
            await client.ok("STORE 1 +FLAGS (\\Deleted)")
            await client.ok("EXPUNGE")
            listed = (await asyncio.to_thread(api.get, "/emails")).json()
            assert (listed["totalCount"], listed["unreadCount"]) == (1, 0)
