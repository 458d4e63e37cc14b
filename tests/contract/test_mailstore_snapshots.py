"""Snapshots: a mailbox and its entries in one consistent state, shared by all readers until it changes."""

import asyncio

from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Snapshot, Uid
from tests.support.factories import delivery, simple


def uids(snapshot: Snapshot) -> list[int]:
    return [entry.uid for entry in snapshot.entries]


def assert_consistent(snapshot: Snapshot) -> None:
    mailbox = snapshot.mailbox
    assert uids(snapshot) == sorted(set(uids(snapshot)))
    assert mailbox.messages == len(snapshot.entries)
    assert mailbox.octets == sum(entry.size for entry in snapshot.entries)
    assert all(entry.uid < mailbox.uid_next for entry in snapshot.entries)
    assert all(entry.modseq <= mailbox.highest_modseq for entry in snapshot.entries)


async def test_an_unchanged_mailbox_returns_the_same_snapshot(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    first = await store.snapshot(alice)
    assert await store.snapshot(alice) is first
    assert await store.snapshot(alice, "inbox") is first


async def test_taking_recent_changes_the_snapshot_once(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    assert await store.take_recent(alice, before.mailbox.id) == before.entries[0].uid
    after = await store.snapshot(alice)
    assert after.mailbox.first_recent_uid == after.mailbox.uid_next
    assert after.entries == before.entries
    assert await store.snapshot(alice) is after


async def test_changes_of_other_mailboxes_return_the_same_snapshot(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.deliver(delivery(alice, bob))
    first = await store.snapshot(alice)
    await store.deliver(delivery(bob, Destination(alice, "Sent")))
    assert await store.snapshot(alice) is first


async def test_an_empty_mailbox_has_an_empty_snapshot(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    snapshot = await store.snapshot(alice)
    assert snapshot.entries == ()
    assert snapshot.mailbox == await store.mailbox(alice)


async def test_a_new_snapshot_has_every_change_and_the_old_one_none(store: MailStore, alice: AccountId) -> None:
    receipts = [await store.deliver(delivery(alice)) for _ in range(3)]
    inbox = await store.mailbox(alice)
    delivered = await store.snapshot(alice)
    assert uids(delivered) == [1, 2, 3]

    await store.set_flags(alice, inbox.id, [Uid(2)], FlagChange(Flag.SEEN))
    flagged = await store.snapshot(alice)
    assert [entry.flags for entry in flagged.entries] == [0, Flag.SEEN, 0]

    await store.flag_message(alice, receipts[2].message_id, FlagChange(add_keywords=("todo",)))
    labelled = await store.snapshot(alice)
    assert [entry.keywords for entry in labelled.entries] == [(), (), ("todo",)]

    await store.expunge(alice, inbox.id, [Uid(1)])
    assert uids(await store.snapshot(alice)) == [2, 3]

    await store.delete_message(alice, receipts[2].message_id)
    assert uids(await store.snapshot(alice)) == [2]

    await store.deliver(delivery(alice))
    assert uids(await store.snapshot(alice)) == [2, 4]

    assert uids(delivered) == uids(flagged) == uids(labelled) == [1, 2, 3]
    assert [entry.flags for entry in delivered.entries] == [0, 0, 0]


async def test_a_snapshot_is_consistent_after_every_kind_of_change(store: MailStore, alice: AccountId) -> None:
    for number in range(4):
        await store.deliver(delivery(alice, raw=simple(body="x" * number)))
        assert_consistent(await store.snapshot(alice))
    inbox = await store.mailbox(alice)
    await store.set_flags(alice, inbox.id, [Uid(1), Uid(3)], FlagChange(Flag.DELETED))
    assert_consistent(await store.snapshot(alice))
    await store.expunge(alice, inbox.id, [Uid(1), Uid(3)])
    assert_consistent(await store.snapshot(alice))


async def test_snapshots_during_concurrent_changes_are_consistent(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    inbox = await store.mailbox(alice)

    async def deliver_and_expunge(number: int) -> None:
        receipt = await store.deliver(delivery(alice, raw=simple(body="x" * number)))
        if number % 3 == 0:
            await store.expunge(alice, inbox.id, [receipt.entered[0][1]])

    async def watch() -> None:
        for _ in range(20):
            assert_consistent(await store.snapshot(alice))

    await asyncio.gather(watch(), *(deliver_and_expunge(number) for number in range(60)), watch())
    snapshot = await store.snapshot(alice)
    assert_consistent(snapshot)
    assert len(snapshot.entries) == 40
