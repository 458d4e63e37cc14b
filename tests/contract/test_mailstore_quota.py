"""Quotas are checked in the transaction that stores, so no account exceeds its quota, whatever the process."""

import asyncio
from collections.abc import Awaitable

import pytest

from relate_mailstore.errors import OverQuota
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, NewMessage, Uid
from tests.support.factories import big, delivery, uids

Stores = tuple[MailStore, MailStore]
QUOTA_OCTETS = 2_000
MESSAGE = big(600)


def into(account: AccountId, mailbox: str = "INBOX", quota: int | None = QUOTA_OCTETS) -> Destination:
    return Destination(account, mailbox, quota=quota)


async def refused(result: Awaitable[object]) -> bool:
    try:
        await result
    except OverQuota as error:
        return error.temporary
    return False


async def test_of_concurrent_deliveries_only_those_within_quota_are_stored(stores: Stores, alice: AccountId) -> None:
    for store in stores:
        await store.provision(alice)
    answers = await asyncio.gather(
        *(refused(stores[number % 2].deliver(delivery(into(alice), raw=MESSAGE))) for number in range(8))
    )
    assert answers.count(False) == 3
    assert await stores[0].usage(alice) == 3 * len(MESSAGE)


async def test_concurrent_deliveries_appends_and_copies_share_one_quota(stores: Stores, alice: AccountId) -> None:
    one, other = stores
    await one.deliver(delivery(into(alice), raw=MESSAGE))
    inbox = await one.mailbox(alice)
    twice = [NewMessage(MESSAGE[:300])] * 2
    answers = await asyncio.gather(
        *(refused(store.deliver(delivery(into(alice, "Junk"), raw=MESSAGE))) for store in stores),
        *(refused(store.append(alice, "Drafts", [NewMessage(MESSAGE)], quota=QUOTA_OCTETS)) for store in stores),
        *(refused(store.append(alice, "Sent", twice, quota=QUOTA_OCTETS)) for store in stores),
        *(refused(store.copy(alice, inbox.id, uids(1), "Archive", QUOTA_OCTETS)) for store in stores),
    )
    assert answers.count(False) == 2
    assert await one.usage(alice) == await other.usage(alice) == 3 * len(MESSAGE)


async def test_a_message_counts_once_per_mailbox(store: MailStore, alice: AccountId) -> None:
    twice = delivery(into(alice), into(alice, "Sent"), raw=MESSAGE)
    await store.deliver(twice)
    assert await refused(store.deliver(twice))
    await store.deliver(delivery(into(alice), raw=MESSAGE))
    assert await store.usage(alice) == 3 * len(MESSAGE)


async def test_a_message_above_the_whole_quota_is_refused_permanently(store: MailStore, alice: AccountId) -> None:
    with pytest.raises(OverQuota) as refusal:
        await store.deliver(delivery(into(alice), raw=big(QUOTA_OCTETS + 1)))
    assert not refusal.value.temporary
    await store.deliver(delivery(into(alice), raw=big(QUOTA_OCTETS)))


async def test_a_delivery_over_one_recipients_quota_reaches_none(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.deliver(delivery(into(alice, quota=None), raw=big(QUOTA_OCTETS)))
    assert await refused(store.deliver(delivery(into(bob), into(alice), raw=MESSAGE)))
    assert (await store.usage(alice), await store.usage(bob)) == (QUOTA_OCTETS, 0)
    await store.deliver(delivery(into(bob), into(alice, quota=None), raw=MESSAGE))
    assert await store.usage(bob) == len(MESSAGE)


async def test_a_refused_delivery_does_not_use_quota_in_its_batch(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    for account in (alice, bob):
        await store.deliver(delivery(into(account), raw=MESSAGE))
    sizes = (1_500, 1_400, 10)
    answers = await asyncio.gather(
        *(refused(store.deliver(delivery(into(alice), into(bob), raw=big(size)))) for size in sizes)
    )
    assert answers == [True, False, True]
    assert await store.usage(alice) == QUOTA_OCTETS


async def test_a_replacement_counts_by_the_difference_of_sizes(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(into(alice, "Drafts"), raw=big(1_500)))
    drafts = await store.mailbox(alice, "Drafts")
    assert await refused(store.append(alice, "Drafts", [NewMessage(big(1_800))], quota=QUOTA_OCTETS))
    await store.append(alice, "Drafts", [NewMessage(big(1_800))], (drafts.id, Uid(1)), QUOTA_OCTETS)
    with pytest.raises(OverQuota):
        await store.append(alice, "Drafts", [NewMessage(big(2_001))], (drafts.id, Uid(2)), QUOTA_OCTETS)
    assert await store.usage(alice) == 1_800
    await store.append(
        alice, "Drafts", [NewMessage(big(1_700))], (drafts.id, Uid(2)), 100
    )  # it shrinks, so the quota is ignored
    assert await store.usage(alice) == 1_700


async def test_operations_that_do_not_grow_an_account_ignore_its_quota(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(into(alice, quota=None), raw=big(3 * QUOTA_OCTETS)))
    inbox = await store.mailbox(alice)
    assert not (await store.copy(alice, inbox.id, uids(99), "Archive", QUOTA_OCTETS)).uids
    await store.move(alice, inbox.id, uids(1), "Archive")
    assert await store.usage(alice) == 3 * QUOTA_OCTETS
