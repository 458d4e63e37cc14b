"""What only processes can show: a maildrop and two workers, one of which is killed; and no files left."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account
from tests.integration.product.processes import children, listeners, open_files, wait_until
from tests.integration.trouble.clients import TIMEOUT_SECONDS, Client, connected, deliver, pop3, retrieve_all, smtp
from tests.integration.trouble.conftest import QUIET
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-processes")

WORKERS = 2
SPARE_FILES = 10
VISITORS = 30


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """POP3 in two processes, everything else in the first of them."""
    with Product(tmp_path_factory.mktemp("workers"), Pop3__Workers=str(WORKERS), **QUIET) as started:
        started.start()
        yield started


@pytest.fixture
def alice(product: Product) -> Account:
    wait_until(lambda: len(workers(product, "Pop3__Port")) == WORKERS and len(workers(product, "Smtp__MxPort")) == 1)
    return Account.create(product, "alice")


def workers(product: Product, port: str) -> list[int]:
    """The processes that listen on a port."""
    return [pid for pid in children(product.process_id) if listeners(pid, product.ports[port])]


def server_of(product: Product, client: Client) -> int:
    """The process at the other end of a connection to POP3."""
    ours: int = client.writer.get_extra_info("sockname")[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{product.ports['Pop3__Port']:04X}", f":{ours:04X}"
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    (server,) = [pid for pid in children(product.process_id) if f"socket:[{inode}]" in open_files(pid)]
    return server


async def test_a_maildrop_is_held_against_another_process_until_its_holder_is_killed(
    product: Product, alice: Account
) -> None:
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(pop3(product.ports["Pop3__Port"], *alice))
        first = server_of(product, holder)
        other = await connect_elsewhere(product, first, stack)
        assert (await log_in(other, alice)).startswith(b"-ERR [IN-USE]")
        os.kill(first, signal.SIGKILL)
        assert await holder.rest() == b""
        assert (await log_in(other, alice)).startswith(b"+OK")


async def connect_elsewhere(product: Product, taken: int, stack: AsyncExitStack) -> Client:
    """A connection to the other process: the kernel deals them out."""
    while True:
        client = await stack.enter_async_context(connected(product.ports["Pop3__Port"]))
        await client.reply()
        if server_of(product, client) != taken:
            return client


async def log_in(client: Client, account: Account) -> bytes:
    return (await client.ask_all([f"USER {account.address}", f"PASS {account.key}"]))[-1]


async def test_without_files_left_accepting_rests_and_recovers(product: Product, alice: Account) -> None:
    (pid,) = workers(product, "Smtp__MxPort")
    port = product.ports["Smtp__MxPort"]
    async with smtp(port) as resident, AsyncExitStack() as stack:
        assert (await deliver(resident, b"Subject: before\r\n\r\n", alice.address)).startswith(b"250")
        with files_left(pid, SPARE_FILES):
            visitors = [await stack.enter_async_context(connected(port)) for _ in range(VISITORS)]
            greetings = [asyncio.create_task(visitor.reply()) for visitor in visitors]
            assert await asyncio.to_thread(product.stderr.wait_for, "no files left")
            assert (await deliver(resident, b"Subject: meanwhile\r\n\r\n", alice.address)).startswith(b"250")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert {greeting[:4] for greeting in await asyncio.gather(*greetings)} == {b"220 "}
    async with pop3(product.ports["Pop3__Port"], *alice) as reader:
        assert len(await retrieve_all(reader)) == 2


@contextmanager
def files_left(pid: int, count: int) -> Iterator[None]:
    """The process may open so many more files."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(open_files(pid)) + count, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
