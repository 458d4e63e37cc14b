"""POP3 and REST return each message unchanged below the trace fields, except Return-Path fields that it brought."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from random import Random

import pytest

from tests.integration.product.accounts import Account
from tests.integration.trouble.clients import Client, deliver, deliver_chunks, pop3, retrieve_all, smtp
from tests.support import corpus
from tests.support.product import Product

pytestmark = [
    pytest.mark.xdist_group("trouble-corpus"),
    pytest.mark.parametrize(
        "product", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True, scope="module"
    ),
]

TRACE = re.compile(rb"Return-Path: <.*>\r\nReceived: from .*\r\n(?:\t.*\r\n)+")
CHUNK_SIZES = (1, 2, 50, 1_000, 40_000, 2_000_000)
CHUNKS_PER_SIZE = 100  # so that 30 MB are not cut into single octets

Messages = Mapping[str, bytes]
Deliver = Callable[[Client, bytes, str], Awaitable[bytes]]


async def send_by_data(client: Client, octets: bytes, recipient: str) -> bytes:
    return await deliver(client, octets, recipient)


async def send_by_bdat(client: Client, octets: bytes, recipient: str) -> bytes:
    return await deliver_chunks(client, list(cut(octets)), recipient)


def cut(octets: bytes) -> Iterator[bytes]:
    """Cut a message into chunks of all sizes, reproducibly."""
    random, at, sizes = Random(len(octets)), 0, list(CHUNK_SIZES)
    while at < len(octets):
        size = random.choice(sizes)
        if at > CHUNKS_PER_SIZE * size and size < max(sizes):
            sizes.remove(size)
        yield octets[at : at + size]
        at += size


def library() -> Messages:
    return corpus.library() or pytest.skip("this Python has no test suite")


@pytest.fixture
def alice(product: Product) -> Account:
    return Account.create(product, "alice")


async def send(product: Product, messages: Messages, recipient: str, deliver_one: Deliver) -> list[str]:
    """Send all messages; their ids in the store, in order."""
    async with smtp(product.ports["Smtp__MxPort"]) as client:
        replies = {name: await deliver_one(client, octets, recipient) for name, octets in messages.items()}
    assert {name: reply for name, reply in replies.items() if not reply.startswith(b"250")} == {}
    return [reply.split()[-1].decode() for reply in replies.values()]


async def read_by_pop3(product: Product, reader: Account) -> list[bytes]:
    async with pop3(product.ports["Pop3__Port"], *reader) as client:
        return await retrieve_all(client)


def read_by_api(product: Product, reader: Account, ids: list[str]) -> list[bytes]:
    with product.api(reader.key) as client:
        return [client.get(f"/emails/{email_id}/raw").raise_for_status().content for email_id in ids]


def differing(messages: Messages, stored: list[bytes]) -> list[str]:
    """The names of the messages whose octets have changed."""
    assert len(stored) == len(messages)
    return [name for (name, sent), raw in zip(messages.items(), stored, strict=True) if not is_unchanged(sent, raw)]


def is_unchanged(sent: bytes, raw: bytes) -> bool:
    expected = without_return_path(sent)
    return raw.endswith(expected) and TRACE.fullmatch(raw, 0, len(raw) - len(expected)) is not None


def without_return_path(message: bytes) -> bytes:
    """The message without the Return-Path fields that it brought (RFC 5321 §4.4)."""
    result, rest, dropping = b"", message, False
    while rest and not rest.startswith((b"\r\n", b"\n")):
        line, end, rest = rest.partition(b"\n")
        dropping = line.lower().startswith(b"return-path") if line[:1] not in (b" ", b"\t") else dropping
        result += b"" if dropping else line + end
    return result + rest


@pytest.mark.parametrize("messages", [library, corpus.odd, corpus.big])
async def test_lines_sent_by_data_are_returned_unchanged(
    product: Product, alice: Account, messages: Callable[[], Messages]
) -> None:
    sent = {name: corpus.as_lines(octets) for name, octets in messages().items()}
    ids = await send(product, sent, alice.address, send_by_data)
    assert differing(sent, await read_by_pop3(product, alice)) == []
    assert differing(sent, read_by_api(product, alice, ids)) == []


@pytest.mark.parametrize("messages", [library, corpus.odd, corpus.big])
async def test_octets_sent_by_bdat_are_returned_unchanged(
    product: Product, alice: Account, messages: Callable[[], Messages]
) -> None:
    sent = messages()
    ids = await send(product, sent, alice.address, send_by_bdat)
    assert differing(sent, read_by_api(product, alice, ids)) == []
    # POP3 sends lines, so the last one gets a line end (RFC 1939 §3).
    lines = {
        name: octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n" for name, octets in sent.items()
    }
    assert differing(lines, await read_by_pop3(product, alice)) == []


@pytest.mark.parametrize("messages", [library, corpus.odd])
async def test_every_message_is_listed_and_shown(
    product: Product, alice: Account, messages: Callable[[], Messages]
) -> None:
    ids = await send(product, messages(), alice.address, send_by_bdat)
    with product.api(alice.key) as client:
        listed = [
            item["id"] for item in client.get("/emails", params={"limit": 100}).raise_for_status().json()["items"]
        ]
        shown = [client.get(f"/emails/{email_id}").raise_for_status().json()["id"] for email_id in ids]
    assert listed[::-1] == shown == ids
