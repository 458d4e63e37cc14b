"""Incomplete messages take bounded memory, release it, and do not block other deliveries."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.integration.trouble.clients import READ_LIMIT_OCTETS, Client, begin_data, deliver, smtp
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.support.imap.client import Literal, logged_in
from tests.support.product import ADDRESS, HOST, Product

pytestmark = pytest.mark.xdist_group("trouble-memory")

BUDGET_OCTETS = 32 * 1024 * 1024
OVERHEAD_OCTETS = 48 * MEGABYTE  # sockets and parsers, and first-use allocations
HALF = b"Subject: half\r\n\r\n" + (b"x" * 76 + b"\r\n") * 128_000  # 10 MB
SMALL = b"Subject: small\r\n\r\n" + (b"x" * 76 + b"\r\n") * 26


@pytest.fixture
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    settings = {**QUIET, "Limits__ContentMemoryBytes": str(BUDGET_OCTETS)}
    with Product(tmp_path_factory.mktemp("content"), **settings) as product:
        product.add_user()
        product.start()
        yield product


@asynccontextmanager
async def half_sent(port: int, address: str) -> AsyncIterator[Client]:
    """A client at the given loopback address that has sent half a message by DATA."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(address, 0), limit=READ_LIMIT_OCTETS)
    client = Client(reader, writer)
    try:
        await client.reply()
        await client.ask("HELO client.example.org")
        assert (await begin_data(client, ADDRESS)).startswith(b"354")
        await client.send(HALF)
        yield client
    finally:
        client.abort()


async def test_abandoned_messages_release_their_memory(product: Product) -> None:
    port = product.ports["Smtp__MxPort"]
    async with smtp(port) as client:
        assert (await deliver(client, SMALL, ADDRESS)).startswith(b"250")
    with bounded_memory(BUDGET_OCTETS + OVERHEAD_OCTETS, product.process_id):
        for _ in range(24):
            async with half_sent(port, HOST):
                pass


async def test_incomplete_messages_do_not_block_small_ones(product: Product) -> None:
    port = product.ports["Smtp__MxPort"]
    async with AsyncExitStack() as stack, smtp(port) as neighbour:
        assert (await deliver(neighbour, SMALL, ADDRESS)).startswith(b"250")
        with bounded_memory(BUDGET_OCTETS + OVERHEAD_OCTETS, product.process_id):
            clients = [
                await stack.enter_async_context(half_sent(port, f"127.0.0.{2 + number % 5}")) for number in range(20)
            ]
            for _ in range(5):
                assert (await deliver(neighbour, SMALL, ADDRESS)).startswith(b"250")
            await clients[0].send(b".\r\n")
            assert (await clients[0].reply()).startswith(b"452 4.3.1")
            assert (await deliver(clients[0], SMALL, ADDRESS)).startswith(b"250")
            await clients[-1].send(b".\r\n")
            assert (await clients[-1].reply()).startswith(b"250")


async def test_a_session_continues_after_an_append_lost_its_memory(product: Product) -> None:
    key, port = product.create_key(), product.ports["Imap__Port"]
    async with logged_in(port, ADDRESS, key) as first, logged_in(port, ADDRESS, key) as second:
        await first.send(b"x APPEND INBOX {%d+}\r\n" % len(HALF) + HALF[:-1])
        await second.ok("APPEND INBOX ", Literal(HALF))
        await first.send(HALF[-1:] + b"\r\n")
        tagged = (await first.finish("x")).tagged
        assert tagged is not None
        assert (tagged.kind, *tagged.code) == ("NO", b"LIMIT")
        await first.ok("APPEND INBOX ", Literal(SMALL))
