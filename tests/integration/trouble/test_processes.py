"""Worker processes: a maildrop lock whose process is killed, and a process that runs out of file descriptors."""

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
NEW_CONNECTIONS = 30


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """POP3 in two processes, the other services in the first of them."""
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
    """The process that serves a POP3 connection."""
    local_port: int = client.writer.get_extra_info("sockname")[1]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{product.ports['Pop3__Port']:04X}", f":{local_port:04X}"
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    (server,) = [pid for pid in children(product.process_id) if f"socket:[{inode}]" in open_files(pid)]
    return server


async def test_a_maildrop_is_locked_until_the_process_that_holds_it_is_killed(product: Product, alice: Account) -> None:
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(pop3(product.ports["Pop3__Port"], *alice))
        first = server_of(product, holder)
        other = await connect_elsewhere(product, first, stack)
        assert (await log_in(other, alice)).startswith(b"-ERR [IN-USE]")
        os.kill(first, signal.SIGKILL)
        assert await holder.rest() == b""
        assert (await log_in(other, alice)).startswith(b"+OK")


async def connect_elsewhere(product: Product, excluded: int, stack: AsyncExitStack) -> Client:
    """A connection to the other process. The kernel chooses the process, so connect until it is another one."""
    while True:
        client = await stack.enter_async_context(connected(product.ports["Pop3__Port"]))
        await client.reply()
        if server_of(product, client) != excluded:
            return client


async def log_in(client: Client, account: Account) -> bytes:
    return (await client.ask_all([f"USER {account.address}", f"PASS {account.key}"]))[-1]


async def test_accepting_pauses_without_file_descriptors_and_resumes(product: Product, alice: Account) -> None:
    (pid,) = workers(product, "Smtp__MxPort")
    port = product.ports["Smtp__MxPort"]
    async with smtp(port) as open_client, AsyncExitStack() as stack:
        assert (await deliver(open_client, b"Subject: before\r\n\r\n", alice.address)).startswith(b"250")
        with spare_files(pid, SPARE_FILES):
            new_clients = [await stack.enter_async_context(connected(port)) for _ in range(NEW_CONNECTIONS)]
            greetings = [asyncio.create_task(new_client.reply()) for new_client in new_clients]
            assert await asyncio.to_thread(product.stderr.wait_for, "no files left")
            assert (await deliver(open_client, b"Subject: meanwhile\r\n\r\n", alice.address)).startswith(b"250")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert {greeting[:4] for greeting in await asyncio.gather(*greetings)} == {b"220 "}
    async with pop3(product.ports["Pop3__Port"], *alice) as reader:
        assert len(await retrieve_all(reader)) == 2


@contextmanager
def spare_files(pid: int, count: int) -> Iterator[None]:
    """Limit the process to `count` more open files."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(open_files(pid)) + count, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
