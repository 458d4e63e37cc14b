"""A mailbox of 131,072 messages, and clients that request all of them and do not read the responses."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.product.accounts import Account
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.support.imap.client import TIMEOUT_SECONDS, ImapClient, Literal, logged_in
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-imap-big")

MESSAGES = 2**17
SMALL = b"Subject: x\r\n\r\ntext\r\n"
READERS = 10
# Responses from memory, from headers, from bodies, and of one long line.
COMMANDS = (
    "FETCH 1:* FLAGS",
    "UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
    "FETCH 1:* BODY.PEEK[]",
    "UID SEARCH NOT TEXT nowhere",
)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Account]]:
    """The product, and an account whose INBOX has MESSAGES copies of one message."""
    with Product(tmp_path_factory.mktemp("big"), **QUIET) as product:
        account = Account.create(product, "ann")
        product.start()
        asyncio.run(fill(product, account))
        yield product, account


async def fill(product: Product, account: Account) -> None:
    async with logged_in(product.ports["Imap__Port"], *account) as client:
        await client.ok("APPEND INBOX ", Literal(SMALL))
        await client.ok("SELECT INBOX")
        for _ in range(MESSAGES.bit_length() - 1):
            await client.ok("COPY 1:* INBOX")


@pytest.mark.parametrize("command", COMMANDS)
async def test_clients_that_do_not_read_their_responses_take_bounded_memory(
    big: tuple[Product, Account], command: str
) -> None:
    product, account = big
    port = product.ports["Imap__Port"]
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(logged_in(port, *account)) for _ in range(READERS)]
        for reader in readers:
            await reader.ok("EXAMINE INBOX")
        with bounded_memory(64 * MEGABYTE, product.process_id):
            for reader in readers:
                await reader.send(f"z {command}\r\n".encode())
                assert await reader.reader.read(1)  # the first octet of the response
            await serve_others(product)
        if command == COMMANDS[0]:
            assert await count_lines(readers[0]) == MESSAGES


async def serve_others(product: Product) -> None:
    """Append and fetch as another user."""
    other = await asyncio.to_thread(Account.create, product, "bob")
    async with logged_in(product.ports["Imap__Port"], *other) as client:
        await client.ok("APPEND INBOX ", Literal(SMALL))
        await client.ok("SELECT INBOX")
        assert len((await client.ok("FETCH 1:* BODY[]")).of("FETCH")) == 1


async def count_lines(client: ImapClient) -> int:
    """Count the lines before the tagged OK."""
    lines, end = 0, b""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while b"\r\nz OK " not in end:
            octets = await client.reader.read(1 << 20)
            lines, end = lines + octets.count(b"\n"), end[-100:] + octets
    return lines - 1
