"""The maildrop lock (RFC 1939 §4): one holder per account, released however the session ends."""

import asyncio

import pytest

from relate_mailstore.errors import MaildropInUse
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId
from tests.support.factories import delivery, uids


async def hold(store: MailStore, account: AccountId, entered: asyncio.Event, leave: asyncio.Event) -> None:
    async with store.lock_maildrop(account):
        entered.set()
        await leave.wait()


async def test_a_held_maildrop_is_in_use(store: MailStore, alice: AccountId) -> None:
    async with store.lock_maildrop(alice):
        with pytest.raises(MaildropInUse) as refused:
            async with store.lock_maildrop(alice):
                pytest.fail("two hold one maildrop")
        assert refused.value.temporary


async def test_a_refusal_does_not_release_the_lock(store: MailStore, alice: AccountId) -> None:
    async with store.lock_maildrop(alice):
        for _ in range(2):
            with pytest.raises(MaildropInUse):
                await store.lock_maildrop(alice).__aenter__()


async def test_the_lock_is_released_after_use(store: MailStore, alice: AccountId) -> None:
    for _ in range(3):
        async with store.lock_maildrop(alice):
            pass


async def test_the_lock_is_released_after_an_exception(store: MailStore, alice: AccountId) -> None:
    with pytest.raises(RuntimeError, match="session's own"):
        async with store.lock_maildrop(alice):
            raise RuntimeError("the session's own trouble")
    async with store.lock_maildrop(alice):
        pass


async def test_the_lock_is_released_when_its_holder_is_cancelled(store: MailStore, alice: AccountId) -> None:
    entered = asyncio.Event()
    holder = asyncio.create_task(hold(store, alice, entered, leave=asyncio.Event()))
    await entered.wait()
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    async with store.lock_maildrop(alice):
        pass


async def test_a_lock_released_within_the_wait_is_acquired(store: MailStore, alice: AccountId) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(store, alice, entered, leave))
    await entered.wait()
    asyncio.get_running_loop().call_later(0.05, leave.set)
    async with store.lock_maildrop(alice, wait_seconds=10):
        assert holder.done()


async def test_the_wait_for_a_lock_is_limited(store: MailStore, alice: AccountId) -> None:
    async with store.lock_maildrop(alice):
        with pytest.raises(MaildropInUse):
            await store.lock_maildrop(alice, wait_seconds=0.05).__aenter__()


async def test_accounts_have_separate_locks(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    async with store.lock_maildrop(alice), store.lock_maildrop(bob):
        pass


async def test_one_of_many_concurrent_callers_acquires_the_lock(store: MailStore, alice: AccountId) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    holders = [asyncio.create_task(hold(store, alice, entered, leave)) for _ in range(5)]
    await entered.wait()
    refused, waiting = await asyncio.wait(holders, return_when=asyncio.FIRST_COMPLETED)
    while len(waiting) > 1:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= done
    leave.set()
    await asyncio.gather(*waiting)
    assert [type(holder.exception()) for holder in refused] == [MaildropInUse] * 4


async def test_mail_arrives_and_is_removed_while_it_is_held(store: MailStore, alice: AccountId) -> None:
    await store.deliver(delivery(alice))
    async with store.lock_maildrop(alice):
        await store.deliver(delivery(alice))
        assert list(await store.expunge(alice, (await store.mailbox(alice)).id, uids(1))) == [1]
    assert (await store.mailbox(alice)).messages == 1
