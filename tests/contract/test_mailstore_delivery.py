"""Delivery: one stored message, an entry per destination, all or none, durable on return."""

import asyncio
import time

import pytest

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, Flag
from relate_mime import index_message
from tests.support.factories import delivery, eight_bit, multipart, simple, uids

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_receipt_has_uid_and_uidvalidity_of_each_destination_in_order(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.deliver(delivery(alice))
    receipt = await store.deliver(delivery(bob, alice))
    inboxes = [await store.mailbox(bob), await store.mailbox(alice)]
    assert receipt.entered == ((inboxes[0].uid_validity, 1), (inboxes[1].uid_validity, 2))


async def test_a_message_to_several_accounts_is_stored_once_with_an_entry_each(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    receipt = await store.deliver(
        delivery(Destination(alice, flags=Flag.SEEN), Destination(bob, "Junk", keywords=("$Junk",)))
    )
    (hers,) = (await store.snapshot(alice)).entries
    (his,) = (await store.snapshot(bob, "Junk")).entries
    assert hers.message_id == his.message_id == receipt.message_id
    assert (hers.flags, hers.keywords) == (Flag.SEEN, ())
    assert (his.flags, his.keywords) == (0, ("$Junk",))


async def test_every_recipient_reads_the_same_octets(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, bob, raw=multipart()))
    for account in (alice, bob):
        assert await (await store.open(account, receipt.message_id)).read() == multipart()


async def test_a_message_may_be_entered_into_several_mailboxes_of_one_account(
    store: MailStore, alice: AccountId
) -> None:
    receipt = await store.deliver(
        delivery(
            Destination(alice, "Sent", flags=Flag.SEEN, keywords=("work",)),
            Destination(alice, flags=Flag.FLAGGED, keywords=("home",)),
        )
    )
    listed = await store.message(alice, receipt.message_id)
    assert listed.mailboxes == ("INBOX", "Sent")
    assert listed.flags == Flag.FLAGGED  # not Flag.SEEN, because one of them is unread
    assert listed.keywords == ("home", "work")


async def test_entries_hold_flags_sorted_keywords_size_and_date(store: MailStore, alice: AccountId) -> None:
    destination = Destination(alice, flags=Flag.DRAFT | Flag.SEEN, keywords=("zebra", "ant", "zebra"))
    await store.deliver(delivery(destination, internal_date=1_000_000_000))
    (entry,) = (await store.snapshot(alice)).entries
    assert entry.flags == Flag.DRAFT | Flag.SEEN
    assert entry.keywords == ("ant", "zebra")
    assert entry.size == len(simple())
    assert entry.internal_date == 1_000_000_000


async def test_a_delivery_without_a_date_is_received_now(store: MailStore, alice: AccountId) -> None:
    before = int(time.time())
    receipt = await store.deliver(delivery(alice))
    (entry,) = (await store.snapshot(alice)).entries
    assert before <= entry.internal_date <= time.time()
    assert (await store.message(alice, receipt.message_id)).message.received == entry.internal_date


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(simple("Grüße, 世界 🎈"), id="unicode"),
        pytest.param(simple("A\0B", body="C\0D\r\n"), id="nul"),
        pytest.param(simple("=?utf-8?q?A=00B?=", sender="=?utf-8?b?AEEA?= <ann@example.org>"), id="encoded nul"),
        pytest.param(simple("=?utf-8?q?=ED=A0=80?=", headers=("References: <a> <b>",)), id="encoded surrogate"),
        pytest.param(multipart(filename="naïve \\ name.pdf"), id="multipart"),
        pytest.param(eight_bit(), id="eight bit"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_the_index_computed_at_delivery_is_stored(store: MailStore, alice: AccountId, raw: bytes) -> None:
    receipt = await store.deliver(delivery(alice, raw=raw))
    message = (await store.message(alice, receipt.message_id)).message
    assert message.index == index_message(raw)
    assert (message.id, message.account_id) == (receipt.message_id, alice)


async def test_the_origin_of_a_delivery_is_stored_with_the_message(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, origin=TRACEPARENT))
    assert (await store.message(alice, receipt.message_id)).message.origin == TRACEPARENT
    assert (await store.open(alice, receipt.message_id)).origin == TRACEPARENT


async def test_a_message_without_origin_has_none(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice))
    assert (await store.message(alice, receipt.message_id)).message.origin is None
    assert (await store.open(alice, receipt.message_id)).origin is None


async def test_a_lone_delivery_is_the_leader_of_its_batch(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, origin=TRACEPARENT))
    assert (receipt.batch, receipt.leader) == (1, TRACEPARENT)


async def test_message_ids_are_uuids_of_version_7_and_ascend(store: MailStore, alice: AccountId) -> None:
    ids = [(await store.deliver(delivery(alice))).message_id for _ in range(20)]
    assert all(message_id.version == 7 for message_id in ids)
    assert ids == sorted(set(ids))


async def test_uids_ascend_strictly(store: MailStore, alice: AccountId) -> None:
    uids = [(await store.deliver(delivery(alice))).entered[0][1] for _ in range(5)]
    assert uids == [1, 2, 3, 4, 5]


async def test_uids_are_never_reused_after_expunge(store: MailStore, alice: AccountId) -> None:
    for _ in range(3):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    await store.expunge(alice, inbox.id, uids(1, 2, 3))
    receipt = await store.deliver(delivery(alice))
    assert receipt.entered == ((inbox.uid_validity, 4),)
    assert (await store.mailbox(alice)).uid_next == 5


async def test_uidnext_is_the_next_uid(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    for _ in range(3):
        foretold = (await store.mailbox(alice)).uid_next
        assert (await store.deliver(delivery(alice))).entered[0][1] == foretold


async def test_two_hundred_concurrent_deliveries_are_each_entered_once(store: MailStore, alice: AccountId) -> None:
    raws = [simple(f"number {number}") for number in range(200)]
    receipts = await asyncio.gather(*(store.deliver(delivery(alice, raw=raw)) for raw in raws))
    snapshot = await store.snapshot(alice)
    entered = {receipt.entered[0][1]: receipt.message_id for receipt in receipts}
    assert {entry.uid: entry.message_id for entry in snapshot.entries} == entered
    assert sorted(entered) == list(range(1, 201))
    assert (snapshot.mailbox.messages, snapshot.mailbox.octets) == (200, sum(map(len, raws)))
    for raw, receipt in list(zip(raws, receipts, strict=True))[::40]:
        assert await (await store.open(alice, receipt.message_id)).read() == raw


async def test_concurrent_deliveries_to_the_same_accounts_in_any_order_arrive(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    ways = [delivery(alice, bob), delivery(bob, alice), delivery(Destination(bob, "Junk"), alice)]
    await asyncio.gather(*(store.deliver(way) for way in ways * 10))
    assert (await store.mailbox(alice)).messages == 30
    assert (await store.mailbox(bob)).messages == 20
    assert (await store.mailbox(bob, "Junk")).messages == 10


async def test_receipts_of_concurrent_deliveries_name_the_leader(store: MailStore, alice: AccountId) -> None:
    origins = {f"00-{number:032x}-00000000000000ff-01" for number in range(1, 41)}
    receipts = await asyncio.gather(*(store.deliver(delivery(alice, origin=origin)) for origin in sorted(origins)))
    assert {receipt.leader for receipt in receipts} <= origins
    assert all(1 <= receipt.batch <= len(origins) for receipt in receipts)


async def test_a_missing_mailbox_refuses_the_whole_delivery(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.provision(bob)
    await store.deliver(delivery(alice))
    before = [await store.snapshot(alice), await store.snapshot(bob)]
    with pytest.raises(MailboxNotFound):
        await store.deliver(delivery(alice, Destination(bob, "Nowhere"), bob))
    assert [await store.snapshot(alice), await store.snapshot(bob)] == before


async def test_a_refused_delivery_provisions_no_account(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    with pytest.raises(MailboxNotFound):
        await store.deliver(delivery(alice, Destination(bob, "Nowhere")))
    assert not await store.mailboxes(alice)
    assert not await store.mailboxes(bob)


async def test_a_refused_delivery_among_many_fails_alone(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    bad = delivery(Destination(alice, "Nowhere"))
    results = await asyncio.gather(
        *(store.deliver(bad if number % 5 == 0 else delivery(alice)) for number in range(20)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [MailboxNotFound] * 4
    snapshot = await store.snapshot(alice)
    assert len(snapshot.entries) == snapshot.mailbox.messages == 16


async def test_the_first_delivery_provisions_an_account(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(Destination(alice, "Archive")))
    assert [mailbox.messages for mailbox in await store.mailboxes(alice)] == [0, 1, 0, 0, 0, 0]


async def test_concurrent_first_deliveries_provision_an_account_once(store: MailStore, alice: AccountId) -> None:
    await asyncio.gather(*(store.deliver(delivery(alice)) for _ in range(20)))
    assert (await store.mailbox(alice)).messages == 20
    assert len(await store.mailboxes(alice)) == 6
