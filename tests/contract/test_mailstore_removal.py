"""Removal: each entry is removed once, and one recipient's removal affects no other."""

import asyncio
import itertools

import pytest

from relate_mailstore.errors import MailboxNotFound, MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, MessageQuery
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple, uids


async def test_expunge_returns_existing_uids_ascending(store: MailStore, alice: AccountId) -> None:
    for _ in range(4):
        await store.deliver(delivery(alice))
    inbox = await store.mailbox(alice)
    assert list(await store.expunge(alice, inbox.id, uids(3, 99, 1, 3))) == [1, 3]
    assert list(await store.expunge(alice, inbox.id, uids(1, 2, 3))) == [2]
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [4]


async def test_an_expunge_without_uids_changes_nothing(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    before = await store.snapshot(alice)
    assert list(await store.expunge(alice, before.mailbox.id, [])) == []
    assert list(await store.expunge(alice, before.mailbox.id, uids(99))) == []
    assert await store.snapshot(alice) is before


async def test_entries_expunged_concurrently_are_removed_once_each(store: MailStore, alice: AccountId) -> None:
    await asyncio.gather(*(store.deliver(delivery(alice)) for _ in range(30)))
    inbox = await store.mailbox(alice)
    ranges = [uids(*range(1, 21)), uids(*range(11, 31)), uids(*range(1, 31)), uids(*range(30, 0, -1))]
    answers = await asyncio.gather(*(store.expunge(alice, inbox.id, among) for among in ranges))
    assert all(list(answer) == sorted(answer) for answer in answers)
    assert sorted(itertools.chain(*answers)) == list(range(1, 31))
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets) == (0, 0)


async def test_a_thousand_entries_are_expunged_together(store: MailStore, alice: AccountId) -> None:
    await asyncio.gather(*(store.deliver(delivery(alice)) for _ in range(1000)))
    inbox = await store.mailbox(alice)
    assert list(await store.expunge(alice, inbox.id, uids(*range(1, 1001)))) == list(range(1, 1001))
    assert (await store.find(alice, MessageQuery(mailbox=None))).items == ()


async def test_a_message_expunged_from_one_mailbox_remains_in_others(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, Destination(alice, "Sent")))
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    assert (await store.message(alice, receipt.message_id)).mailboxes == ("Sent",)
    assert await (await store.open(alice, receipt.message_id)).read() == simple()


async def test_a_message_expunged_from_its_last_mailbox_is_deleted(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, Destination(alice, "Sent")))
    for name in ("INBOX", "Sent"):
        await store.expunge(alice, (await store.mailbox(alice, name)).id, uids(1))
    with pytest.raises(MessageNotFound):
        await store.message(alice, receipt.message_id)
    with pytest.raises(MessageNotFound):
        await store.open(alice, receipt.message_id)
    assert (await store.find(alice, MessageQuery(mailbox=None))).items == ()


async def test_mail_of_another_account_cannot_be_expunged(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    await store.deliver(delivery(alice))
    await store.provision(bob)
    before = await store.snapshot(alice)
    with pytest.raises(MailboxNotFound):
        await store.expunge(bob, before.mailbox.id, uids(1))
    assert await store.snapshot(alice) == before


async def test_an_expunge_affects_one_recipient_only(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    receipt = await store.deliver(delivery(alice, bob))
    await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))
    assert await (await store.open(bob, receipt.message_id)).read() == simple()
    assert (await store.mailbox(bob)).messages == 1


async def test_delete_message_removes_it_from_all_mailboxes_of_the_account(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice, Destination(alice, "Sent"), bob))
    await store.deliver(delivery(alice))
    await store.delete_message(alice, receipt.message_id)
    assert [entry.uid for entry in (await store.snapshot(alice)).entries] == [2]
    assert (await store.snapshot(alice, "Sent")).entries == ()
    with pytest.raises(MessageNotFound):
        await store.open(alice, receipt.message_id)
    assert (await store.message(bob, receipt.message_id)).mailboxes == ("INBOX",)
    assert await (await store.open(bob, receipt.message_id)).read() == simple()


async def test_a_message_deleted_by_every_recipient_is_not_found(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    receipt = await store.deliver(delivery(alice, bob))
    for account in (alice, bob):
        await store.delete_message(account, receipt.message_id)
    for account in (alice, bob):
        with pytest.raises(MessageNotFound):
            await store.open(account, receipt.message_id)


async def test_deleting_an_unknown_message_raises_not_found(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    receipt = await store.deliver(delivery(alice))
    with pytest.raises(MessageNotFound):
        await store.delete_message(alice, UNKNOWN_MESSAGE)
    with pytest.raises(MessageNotFound):
        await store.delete_message(bob, receipt.message_id)
    await store.delete_message(alice, receipt.message_id)
    with pytest.raises(MessageNotFound):
        await store.delete_message(alice, receipt.message_id)


async def test_a_message_deleted_concurrently_is_removed_once(store: MailStore, alice: AccountId) -> None:
    receipt = await store.deliver(delivery(alice))
    await store.deliver(delivery(alice))
    results = await asyncio.gather(
        *(store.delete_message(alice, receipt.message_id) for _ in range(5)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert [type(result) for result in results if result is not None] == [MessageNotFound] * 4
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets) == (1, len(simple()))


async def test_concurrent_deliveries_and_removals_lose_no_message(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    inbox = await store.mailbox(alice)

    async def deliver_and_remove(number: int) -> None:
        receipt = await store.deliver(delivery(alice))
        if number % 2:
            await store.delete_message(alice, receipt.message_id)
        else:
            await store.expunge(alice, inbox.id, [receipt.entered[0][1]])

    await asyncio.gather(
        *(deliver_and_remove(number) for number in range(30)),
        *(store.deliver(delivery(alice)) for _ in range(10)),
    )
    inbox = await store.mailbox(alice)
    assert (inbox.messages, inbox.octets, inbox.uid_next) == (10, 10 * len(simple()), 41)
