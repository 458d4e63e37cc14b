"""What is done over the other services is told to who idles over IMAP, at once and in whatever process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.imap.client import ImapClient, logged_in
from tests.support.imap.responses import Response, Value, as_list, as_pairs
from tests.support.product import Product

QUIET = {"OTEL_SDK_DISABLED": "true"}
PLACES = [("sqlite", "1"), ("sqlite", "2"), pytest.param(("postgres", "2"), marks=pytest.mark.postgres)]


@pytest.fixture(
    scope="module", params=PLACES, ids=["in one process", "in another process", "in another process, PostgreSQL"]
)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services; IMAP in so many processes, none of which is the others' where they are two."""
    kind, workers = request.param
    database = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    with Product(tmp_path_factory.mktemp("idle"), database, Imap__Workers=workers, **QUIET) as started:
        started.start()
        yield started


def deliver(product: Product, account: Account, *subjects: str) -> None:
    with product.mx() as client:
        for subject in subjects:
            client.send_message(message("ann@example.org", account.address, subject=subject))


@asynccontextmanager
async def idling(product: Product, account: Account) -> AsyncIterator[ImapClient]:
    """A client that idles over INBOX, which has three messages."""
    await asyncio.to_thread(deliver, product, account, "one", "two", "three")
    async with logged_in(product.ports["Imap__Port"], *account) as client:
        assert [response.number for response in (await client.ok("SELECT INBOX")).of("EXISTS")] == [3]
        tag = await client.idle()
        yield client
        assert (await client.done(tag)).untagged == ()


async def told(client: ImapClient) -> Response:
    response = await client.receive()
    assert response is not None
    return response


def flags(response: Response) -> set[Value]:
    """Of a FETCH response. That the message is new to this session is not of interest."""
    return {*as_list(as_pairs(as_list(response.values[0]))["FLAGS"])} - {b"\\Recent"}


async def test_a_delivery_is_told(product: Product, alice: Account) -> None:
    async with idling(product, alice) as client:
        await asyncio.to_thread(deliver, product, alice, "four")
        assert (await told(client))[1:3] == ("EXISTS", 4)
        assert (await told(client))[1:3] == ("RECENT", 4)


async def test_what_is_deleted_over_pop3_is_told(product: Product, alice: Account) -> None:
    def delete() -> None:
        with product.pop3(*alice) as maildrop:
            maildrop.dele(1)
            maildrop.dele(3)

    async with idling(product, alice) as client:
        await asyncio.to_thread(delete)
        assert [(await told(client))[1:3] for _ in range(2)] == [("EXPUNGE", 3), ("EXPUNGE", 1)]


async def test_what_is_marked_and_deleted_over_the_api_is_told(product: Product, alice: Account) -> None:
    async with idling(product, alice) as client:
        with product.api(alice.key) as api:
            newest = [f"/emails/{item['id']}" for item in api.get("/emails").json()["items"]]
            for change, announced, expected in (
                ({"isRead": True}, (), {b"\\Seen"}),
                ({"isFlagged": True, "addLabels": ["Work"]}, ("FLAGS", "OK"), {b"\\Seen", b"\\Flagged", b"Work"}),
                ({"isRead": False, "removeLabels": ["Work"]}, (), {b"\\Flagged"}),
            ):
                assert (await asyncio.to_thread(api.patch, newest[0], json=change)).is_success
                for kind in announced:  # a new keyword, before it is shown
                    assert (await told(client)).kind == kind
                response = await told(client)
                assert (response.kind, response.number, flags(response)) == ("FETCH", 3, expected)
            assert (await asyncio.to_thread(api.delete, newest[1])).is_success
            assert (await told(client))[1:3] == ("EXPUNGE", 2)
            assert (await asyncio.to_thread(api.delete, newest[0])).is_success
            assert (await told(client))[1:3] == ("EXPUNGE", 2)
