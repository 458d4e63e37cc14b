"""A quota is counted in the transaction that stores, whichever process that is: no account grows beyond it."""

import asyncio
from collections.abc import Awaitable

import pytest

from relate_mailstore.errors import OverQuota
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Destination, NewMessage
from tests.support.factories import big, delivery

Stores = tuple[MailStore, MailStore]
QUOTA = 2_000
MESSAGE = big(600)


def into(account: AccountId, mailbox: str = "INBOX", quota: int | None = QUOTA) -> Destination:
    return Destination(account, mailbox, quota=quota)


async def refused(asked: Awaitable[object]) -> bool:
    try:
        await asked
    except OverQuota as error:
        return error.temporary
    return False


async def test_of_deliveries_at_once_only_those_that_fit_are_stored(stores: Stores, alice: AccountId) -> None:
    for store in stores:
        await store.provision(alice)
    answers = await asyncio.gather(
        *(refused(stores[number % 2].deliver(delivery(into(alice), raw=MESSAGE))) for number in range(8))
    )
    assert answers.count(False) == 3
    assert await stores[0].usage(alice) == 3 * len(MESSAGE)


async def test_all_ways_of_storing_at_once_count_into_one_quota(stores: Stores, alice: AccountId) -> None:
    one, other = stores
    await one.deliver(delivery(into(alice), raw=MESSAGE))
    inbox = await one.mailbox(alice)
    twice = [NewMessage(MESSAGE[:300])] * 2
    answers = await asyncio.gather(
        *(refused(store.deliver(delivery(into(alice, "Junk"), raw=MESSAGE))) for store in stores),
        *(refused(store.append(alice, "Drafts", [NewMessage(MESSAGE)], quota=QUOTA)) for store in stores),
        *(refused(store.append(alice, "Sent", twice, quota=QUOTA)) for store in stores),
        *(refused(store.copy(alice, inbox.id, [1], "Archive", QUOTA)) for store in stores),
    )
    assert answers.count(False) == 2
    assert await one.usage(alice) == await other.usage(alice) == 3 * len(MESSAGE)


async def test_a_message_counts_in_every_mailbox_that_it_is_entered_in(store: MailStore, alice: AccountId) -> None:
    twice = delivery(into(alice), into(alice, "Sent"), raw=MESSAGE)
    await store.deliver(twice)
    assert await refused(store.deliver(twice))
    await store.deliver(delivery(into(alice), raw=MESSAGE))
    assert await store.usage(alice) == 3 * len(MESSAGE)


async def test_a_message_above_the_whole_quota_is_refused_for_good(store: MailStore, alice: AccountId) -> None:
    with pytest.raises(OverQuota) as refusal:
        await store.deliver(delivery(into(alice), raw=big(QUOTA + 1)))
    assert not refusal.value.temporary
    await store.deliver(delivery(into(alice), raw=big(QUOTA)))


async def test_a_delivery_that_one_recipient_has_no_room_for_reaches_none(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    await store.deliver(delivery(into(alice, quota=None), raw=big(QUOTA)))
    assert await refused(store.deliver(delivery(into(bob), into(alice), raw=MESSAGE)))
    assert (await store.usage(alice), await store.usage(bob)) == (QUOTA, 0)
    await store.deliver(delivery(into(bob), into(alice, quota=None), raw=MESSAGE))
    assert await store.usage(bob) == len(MESSAGE)


async def test_a_refused_delivery_takes_no_room_from_those_that_share_its_commit(
    store: MailStore, alice: AccountId, bob: AccountId
) -> None:
    for account in (alice, bob):
        await store.deliver(delivery(into(account), raw=MESSAGE))
    sizes = (1_500, 1_400, 10)
    answers = await asyncio.gather(
        *(refused(store.deliver(delivery(into(alice), into(bob), raw=big(size)))) for size in sizes)
    )
    assert answers == [True, False, True]
    assert await store.usage(alice) == QUOTA


async def test_a_replacement_counts_what_it_lets_the_account_grow_by(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(into(alice, "Drafts"), raw=big(1_500)))
    drafts = await store.mailbox(alice, "Drafts")
    assert await refused(store.append(alice, "Drafts", [NewMessage(big(1_800))], quota=QUOTA))
    await store.append(alice, "Drafts", [NewMessage(big(1_800))], (drafts.id, 1), QUOTA)
    with pytest.raises(OverQuota):
        await store.append(alice, "Drafts", [NewMessage(big(2_001))], (drafts.id, 2), QUOTA)
    assert await store.usage(alice) == 1_800
    await store.append(alice, "Drafts", [NewMessage(big(1_700))], (drafts.id, 2), 100)  # it shrinks: that is no overrun
    assert await store.usage(alice) == 1_700


async def test_what_does_not_let_an_account_grow_is_done_beyond_its_quota(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(into(alice, quota=None), raw=big(3 * QUOTA)))
    inbox = await store.mailbox(alice)
    assert not (await store.copy(alice, inbox.id, [99], "Archive", QUOTA)).uids
    await store.move(alice, inbox.id, [1], "Archive")
    assert await store.usage(alice) == 3 * QUOTA
