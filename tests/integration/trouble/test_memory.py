"""A message of 30 MB passes through in bounded memory, in either direction, through every door."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.trouble.clients import Client, deliver, deliver_chunks, pop3, smtp
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.support import corpus
from tests.support.product import ADDRESS, Product

pytestmark = pytest.mark.xdist_group("trouble-memory")

SMALL = b"Subject: warm\r\n\r\nWhat is imported and connected at first use is not the message's.\r\n"
RECEIVED = 3 * corpus.ATTACHMENT + 40 * MEGABYTE  # as it came, as it is stored, and what the drivers copy of it
SENT = 40 * MEGABYTE  # some parts of it, and what the sockets hold

Way = Callable[[Client, bytes, str], Awaitable[bytes]]


@pytest.fixture
def product(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Product]:
    """A process that nothing big has passed through."""
    with Product(tmp_path_factory.mktemp("memory"), database_url, **QUIET) as product:
        product.start()
        yield product


@asynccontextmanager
async def warm(product: Product) -> AsyncIterator[Client]:
    """A client that has delivered something small, so that nothing big is left of the message before."""
    async with smtp(product.ports["Smtp__MxPort"]) as client:
        assert (await deliver(client, SMALL, ADDRESS)).startswith(b"250")
        yield client


async def by_one_chunk(client: Client, octets: bytes, recipient: str) -> bytes:
    return await deliver_chunks(client, [octets], recipient)


async def test_a_big_message_is_received_and_sent_in_bounded_memory(product: Product) -> None:
    key = product.add_user()
    (big,) = corpus.big().values()
    for receive in (deliver, by_one_chunk):
        async with warm(product) as client:
            with bounded_memory(RECEIVED, product.process_id):
                reply = await receive(client, big, ADDRESS)
            assert reply.startswith(b"250")
    async with warm(product), pop3(product.ports["Pop3__Port"], ADDRESS, key) as reader:
        with bounded_memory(SENT, product.process_id):
            assert (await reader.ask("RETR 4")).startswith(b"+OK")
            assert (await reader.content()).endswith(big)
    with product.api(key) as api, bounded_memory(SENT, product.process_id):
        email_id = reply.split()[-1].decode()
        assert api.get(f"/emails/{email_id}/raw").content.endswith(big)
        assert api.get(f"/emails/{email_id}").json()["textBody"]
