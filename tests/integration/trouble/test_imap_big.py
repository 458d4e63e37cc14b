"""A mailbox of a hundred thousand messages, and clients that ask for all of it and do not read."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.product.accounts import Account
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.memory import MEGABYTE, bounded
from tests.support.imap.client import TIMEOUT_SECONDS, ImapClient, Literal, logged_in
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-imap-big")

MANY = 2**17
SMALL = b"Subject: x\r\n\r\ntext\r\n"
READERS = 10
# Every kind of answer there is: from memory, with headers, with contents, and in one piece.
QUESTIONS = (
    "FETCH 1:* FLAGS",
    "UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
    "FETCH 1:* BODY.PEEK[]",
    "UID SEARCH NOT TEXT nowhere",
)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Account]]:
    """The product, and somebody whose INBOX has MANY messages: one, copied again and again."""
    with Product(tmp_path_factory.mktemp("big"), **QUIET) as product:
        account = Account.create(product, "ann")
        product.start()
        asyncio.run(fill(product, account))
        yield product, account


async def fill(product: Product, account: Account) -> None:
    async with logged_in(product.ports["Imap__Port"], *account) as client:
        await client.ok("APPEND INBOX ", Literal(SMALL))
        await client.ok("SELECT INBOX")
        for _ in range(MANY.bit_length() - 1):
            await client.ok("COPY 1:* INBOX")


@pytest.mark.parametrize("question", QUESTIONS)
async def test_who_asks_for_everything_and_does_not_read_costs_little(
    big: tuple[Product, Account], question: str
) -> None:
    product, account = big
    port = product.ports["Imap__Port"]
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(logged_in(port, *account)) for _ in range(READERS)]
        for reader in readers:
            await reader.ok("EXAMINE INBOX")
        with bounded(64 * MEGABYTE, product.process_id):
            for reader in readers:
                await reader.send(f"z {question}\r\n".encode())
                assert await reader.reader.read(1)  # it has begun
            await serve_others(product)
        if question == QUESTIONS[0]:
            assert await rest_of(readers[0]) == MANY


async def serve_others(product: Product) -> None:
    """Somebody else comes, stores and reads."""
    other = await asyncio.to_thread(Account.create, product, "bob")
    async with logged_in(product.ports["Imap__Port"], *other) as client:
        await client.ok("APPEND INBOX ", Literal(SMALL))
        await client.ok("SELECT INBOX")
        assert len((await client.ok("FETCH 1:* BODY[]")).of("FETCH")) == 1


async def rest_of(client: ImapClient) -> int:
    """How many lines there are up to the tagged one, which is OK."""
    lines, end = 0, b""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while b"\r\nz OK " not in end:
            octets = await client.reader.read(1 << 20)
            lines, end = lines + octets.count(b"\n"), end[-100:] + octets
    return lines - 1
