"""A message of 30 MB is received by DATA and BDAT and sent by POP3 and REST in bounded memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.trouble.clients import Client, deliver, deliver_chunks, pop3, smtp
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.support import corpus
from tests.support.product import ADDRESS, Product

pytestmark = pytest.mark.xdist_group("trouble-memory")

SMALL = b"Subject: warm\r\n\r\nImports and connections of the first use do not count.\r\n"
RECEIVE_OCTETS = 3 * corpus.ATTACHMENT_OCTETS + 40 * MEGABYTE  # content as received, as stored, and the drivers' copy
SEND_OCTETS = 40 * MEGABYTE  # some chunks, and socket buffers


@pytest.fixture
def product(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Product]:
    """A fresh process, which has not handled a big message yet."""
    with Product(tmp_path_factory.mktemp("memory"), database_url, **QUIET) as product:
        product.start()
        yield product


@asynccontextmanager
async def warm(product: Product) -> AsyncIterator[Client]:
    """A client that has delivered a small message, which replaces the buffers of the big one before."""
    async with smtp(product.ports["Smtp__MxPort"]) as client:
        assert (await deliver(client, SMALL, ADDRESS)).startswith(b"250")
        yield client


async def deliver_one_chunk(client: Client, octets: bytes, recipient: str) -> bytes:
    return await deliver_chunks(client, [octets], recipient)


async def test_a_big_message_is_received_and_sent_in_bounded_memory(product: Product) -> None:
    key = product.add_user()
    (big,) = corpus.big().values()
    for receive in (deliver, deliver_one_chunk):
        async with warm(product) as client:
            with bounded_memory(RECEIVE_OCTETS, product.process_id):
                reply = await receive(client, big, ADDRESS)
            assert reply.startswith(b"250")
    async with warm(product), pop3(product.ports["Pop3__Port"], ADDRESS, key) as reader:
        with bounded_memory(SEND_OCTETS, product.process_id):
            assert (await reader.ask("RETR 4")).startswith(b"+OK")
            assert (await reader.content()).endswith(big)
    with product.api(key) as api, bounded_memory(SEND_OCTETS, product.process_id):
        email_id = reply.split()[-1].decode()
        assert api.get(f"/emails/{email_id}/raw").content.endswith(big)
        assert api.get(f"/emails/{email_id}").json()["textBody"]
