"""Raw messages: stored byte for byte, read completely, in ranges or bounded chunks, by their own account only."""

import asyncio
from collections.abc import Sequence

import pytest

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore, RawMessage
from relate_mailstore.types import AccountId
from tests.support.factories import UNKNOWN_MESSAGE, big, delivery, eight_bit, multipart, simple

ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LARGE_OCTETS = 5 * 1024 * 1024
MAX_CHUNK_OCTETS = 1024 * 1024  # bounds the memory of a reader

MESSAGES = {
    "empty": b"",
    "one octet": b"x",
    "simple": simple(),
    "multipart": multipart(),
    "eight bit and nul": eight_bit(),
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.",
    "bare line ends": b"Subject: x\n\nline\rline\n\r\n\n",
    "only nul": b"\0" * 1000,
    "big": big(LARGE_OCTETS),
}


async def gather_chunks(raw: RawMessage, start: int = 0, stop: int | None = None) -> list[bytes]:
    return [chunk async for chunk in raw.chunks(start, stop)]


async def deliver_and_open(store: MailStore, account: AccountId, octets: bytes) -> RawMessage:
    receipt = await store.deliver(delivery(account, raw=octets))
    return await store.open(account, receipt.message_id)


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_raw_message_is_returned_byte_for_byte(store: MailStore, alice: AccountId, name: str) -> None:
    octets = MESSAGES[name]
    raw = await deliver_and_open(store, alice, octets)
    assert raw.size == len(octets)
    assert await raw.read() == octets
    assert b"".join(await gather_chunks(raw)) == octets


async def test_a_large_message_is_read_in_bounded_chunks(store: MailStore, alice: AccountId) -> None:
    raw = await deliver_and_open(store, alice, big(LARGE_OCTETS))
    chunks = await gather_chunks(raw)
    assert max(map(len, chunks)) <= MAX_CHUNK_OCTETS
    assert all(chunks)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, None),
        (0, 0),
        (0, 1),
        (5, 5),
        (7, 3),
        (1, 100),
        (65_535, 65_537),
        (65_536, 131_072),
        (300_000, 700_001),
        (999_999, 1_000_000),
        (999_999, None),
        (1_000_000, None),
        (1_000_001, 2_000_000),
        (10, 5_000_000),
    ],
)
async def test_a_range_excludes_its_stop(store: MailStore, alice: AccountId, start: int, stop: int | None) -> None:
    octets = big(1_000_000)
    raw = await deliver_and_open(store, alice, octets)
    assert await raw.read(start, stop) == octets[start:stop]
    assert b"".join(await gather_chunks(raw, start, stop)) == octets[start:stop]


async def test_a_raw_message_is_read_repeatedly_and_concurrently(store: MailStore, alice: AccountId) -> None:
    octets = big(1_000_000)
    raw = await deliver_and_open(store, alice, octets)
    results = await asyncio.gather(*(gather_chunks(raw) for _ in range(4)))
    assert [b"".join(chunks) for chunks in results] == [octets] * 4
    assert await raw.read() == octets


async def test_a_reader_may_stop_in_the_middle(store: MailStore, alice: AccountId) -> None:
    raw = await deliver_and_open(store, alice, big(1_000_000))
    chunks = raw.chunks()
    assert (await anext(chunks))[:5] == b"From:"
    assert await raw.read(0, 5) == b"From:"


async def test_an_unknown_message_cannot_be_opened(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    with pytest.raises(MessageNotFound):
        await store.open(alice, UNKNOWN_MESSAGE)
    with pytest.raises(MessageNotFound):
        await store.message(alice, UNKNOWN_MESSAGE)


async def test_a_message_of_another_account_cannot_be_opened(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice))
    with pytest.raises(MessageNotFound):
        await store.open(bob, receipt.message_id)
    with pytest.raises(MessageNotFound):
        await store.message(bob, receipt.message_id)


async def test_reading_a_removed_message_raises_or_returns_all_of_it(store: MailStore, alice: AccountId) -> None:
    octets = big(LARGE_OCTETS)
    receipt = await store.deliver(delivery(alice, raw=octets))
    chunks = (await store.open(alice, receipt.message_id)).chunks()
    received = await anext(chunks)
    await store.delete_message(alice, receipt.message_id)
    try:
        received += b"".join([chunk async for chunk in chunks])
    except MessageNotFound:
        return
    assert received == octets


async def read_all(raws: Sequence[RawMessage | None]) -> list[bytes | None]:
    return [None if raw is None else await raw.read() for raw in raws]


async def test_several_messages_are_opened_in_order_with_none_for_missing_ones(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    octets = [b"", simple("one"), big(200_000), big(1_000_000), simple("two")]
    ids = [(await store.deliver(delivery(alice, raw=raw, origin=ORIGIN))).message_id for raw in octets]
    hers = (await store.deliver(delivery(bob))).message_id
    for _ in range(2):  # the second time from the cache
        opened = await store.open_all(alice, [*reversed(ids), UNKNOWN_MESSAGE, hers, ids[1]])
        assert await read_all(opened) == [*reversed(octets), None, None, octets[1]]
        assert [raw.size for raw in opened if raw] == [*map(len, reversed(octets)), len(octets[1])]
        assert {raw.origin for raw in opened if raw} == {ORIGIN}
    assert not await store.open_all(alice, [])


async def test_more_messages_are_opened_than_fit_in_one_query(store: MailStore, alice: AccountId) -> None:
    octets = [b"%d" % number for number in range(150)]
    ids = [(await store.deliver(delivery(alice, raw=raw))).message_id for raw in octets]
    assert await read_all(await store.open_all(alice, ids)) == octets


async def test_prefetch_hints_do_not_change_results(store: MailStore, alice: AccountId) -> None:
    octets = [simple(f"number {number}") for number in range(5)] + [b"", big(1_000_000)]
    ids = [(await store.deliver(delivery(alice, raw=raw))).message_id for raw in octets]
    first = await store.open(alice, ids[0], [*ids, ids[0], UNKNOWN_MESSAGE])
    assert await first.read() == octets[0]
    (first_again,) = await store.open_all(alice, ids[:1], ids[3:])
    assert await read_all([first_again, *await store.open_all(alice, ids[1:])]) == octets


async def test_a_message_removed_during_its_prefetch_is_not_found(store: MailStore, alice: AccountId) -> None:
    first, second = [(await store.deliver(delivery(alice))).message_id for _ in range(2)]
    await store.open(alice, first)
    await store.open(alice, first, [second])
    await store.delete_message(alice, second)
    with pytest.raises(MessageNotFound):
        await store.open(alice, second)
    assert await store.open_all(alice, [second]) == [None]


async def test_mail_of_another_account_is_not_prefetched(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    hers = (await store.deliver(delivery(alice))).message_id
    his = (await store.deliver(delivery(bob))).message_id
    await store.open(alice, hers)
    for _ in range(2):
        await store.open(bob, his, [hers])
    with pytest.raises(MessageNotFound):
        await store.open(bob, hers)
    assert await store.open_all(bob, [hers]) == [None]


async def test_a_message_deleted_while_it_is_opened_is_not_found_afterwards(store: MailStore, alice: AccountId) -> None:
    other = (await store.deliver(delivery(alice))).message_id
    for _ in range(10):
        message_id = (await store.deliver(delivery(alice))).message_id
        await asyncio.gather(
            *(store.open(alice, message_id) for _ in range(5)),
            store.open(alice, other, [message_id]),
            store.delete_message(alice, message_id),
            *(store.open_all(alice, [message_id, other]) for _ in range(5)),
            store.open(alice, other, [message_id]),
            return_exceptions=True,
        )
        with pytest.raises(MessageNotFound):
            await store.open(alice, message_id)
