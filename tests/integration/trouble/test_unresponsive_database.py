"""A database that accepts connections and never answers: the server still stops within its shutdown budget."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account
from tests.integration.trouble.clients import begin_data, connected, pop3, smtp
from tests.integration.trouble.conftest import QUIET
from tests.support.product import HOST, STOP_LIMIT_SECONDS, Product
from tests.support.unresponsive_database import DatabaseRelay, database_relay

pytestmark = pytest.mark.postgres

CLIENTS_PER_KIND = 5


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[DatabaseRelay]:
    async with database_relay(postgres_url) as relay:
        yield relay


@pytest.fixture
def silent_collector() -> Iterator[str]:
    """An endpoint that never accepts a connection."""
    with socket.create_server((HOST, 0)) as listening:
        yield f"http://{HOST}:{listening.getsockname()[1]}"


async def test_a_stop_does_not_wait_for_database_or_collector(
    tmp_path: Path, relay: DatabaseRelay, silent_collector: str
) -> None:
    with Product(tmp_path, relay.url, Otel__Endpoint=silent_collector) as product:
        account = await asyncio.to_thread(Account.create, product, "alice")
        await asyncio.to_thread(product.start)
        async with AsyncExitStack() as stack:
            await keep_busy(product, account, relay, stack)
            took = await asyncio.to_thread(product.stop)
            assert took < STOP_LIMIT_SECONDS


async def keep_busy(product: Product, account: Account, relay: DatabaseRelay, stack: AsyncExitStack) -> None:
    """Make clients of each protocol wait for the database."""
    sending = [await stack.enter_async_context(smtp(product.ports["Smtp__MxPort"])) for _ in range(CLIENTS_PER_KIND)]
    for client in sending:
        await begin_data(client, account.address)
    reading = await stack.enter_async_context(pop3(product.ports["Pop3__Port"], *account))
    logging_in = [
        await stack.enter_async_context(connected(product.ports["Pop3__Port"])) for _ in range(CLIENTS_PER_KIND)
    ]
    probing = [await stack.enter_async_context(connected(product.ports["Api__Port"])) for _ in range(CLIENTS_PER_KIND)]
    relay.stop_responding()
    for client in sending:
        await client.send(b"Subject: x\r\n\r\n.\r\n")
    await reading.send(b"QUIT\r\n")
    for number, client in enumerate(logging_in):
        await client.send(b"USER %d@example.test\r\nPASS wrong\r\n" % number)
    for client in probing:
        await client.send(b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_a_start_that_waits_for_the_database_can_be_stopped(tmp_path: Path, relay: DatabaseRelay) -> None:
    relay.stop_responding()
    with Product(tmp_path, relay.url, **QUIET) as product:
        product.launch("serve")
        await relay.connected.wait()
        assert await asyncio.to_thread(product.stop) < STOP_LIMIT_SECONDS
