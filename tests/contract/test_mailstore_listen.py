"""Change notices: every kind of change, to its own account only, and none lost to a slow listener.

A notice may arrive after the commit, so a subscription may receive changes made before it. A test that counts notices
first reads those of its set-up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.notices import sqlite
from relate_mailstore.types import (
    AccountId,
    Destination,
    Flag,
    FlagChange,
    Mailbox,
    MailboxId,
    MailboxNotice,
    MessageId,
)
from tests.support.factories import delivery, uids

WAIT_SECONDS = 10.0  # for a notice; then the test fails
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Action = Callable[[MailStore, AccountId, MailboxId, MessageId], Awaitable[object]]

KINDS: dict[str, Action] = {
    "deliver": lambda store, account, mailbox, message: store.deliver(delivery(account)),
    "set_flags": lambda store, account, mailbox, message: store.set_flags(
        account, mailbox, uids(1), FlagChange(Flag.SEEN)
    ),
    "flag_message": lambda store, account, mailbox, message: store.flag_message(
        account, message, FlagChange(add_keywords=("todo",))
    ),
    "expunge": lambda store, account, mailbox, message: store.expunge(account, mailbox, uids(1)),
    "delete_message": lambda store, account, mailbox, message: store.delete_message(account, message),
}


async def next_of(changes: AsyncIterator[MailboxNotice]) -> MailboxNotice:
    async with asyncio.timeout(WAIT_SECONDS):
        return await anext(changes)


async def start_waiting(changes: AsyncIterator[MailboxNotice]) -> asyncio.Task[MailboxNotice]:
    """Return a task that is waiting for the next change."""
    begun = asyncio.Event()

    async def wait() -> MailboxNotice:
        begun.set()
        return await next_of(changes)

    waiting = asyncio.create_task(wait())
    await begun.wait()
    return waiting


async def read_until(changes: AsyncIterator[MailboxNotice], *mailboxes: Mailbox) -> list[MailboxNotice]:
    """Read changes until those of the present state of these mailboxes."""
    wanted = {(mailbox.id, mailbox.highest_modseq) for mailbox in mailboxes}
    received: list[MailboxNotice] = []
    while wanted:
        received.append(await next_of(changes))
        wanted.discard((received[-1].mailbox_id, received[-1].modseq))
    return received


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_change_is_notified_with_mailbox_and_modseq(
    store: MailStore, alice: AccountId, kind: str
) -> None:
    async with store.listen(alice) as changes:
        receipt = await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        await read_until(changes, inbox)
        await KINDS[kind](store, alice, inbox.id, receipt.message_id)
        change = await next_of(changes)
    after = await store.mailbox(alice)
    assert (change.account_id, change.mailbox_id, change.modseq) == (alice, inbox.id, after.highest_modseq)
    assert after.highest_modseq > inbox.highest_modseq


async def test_a_change_in_several_mailboxes_is_notified_for_each(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        receipt = await store.deliver(delivery(alice, Destination(alice, "Sent")))
        await read_until(changes, await store.mailbox(alice), await store.mailbox(alice, "Sent"))
        await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
        received = await read_until(changes, await store.mailbox(alice), await store.mailbox(alice, "Sent"))
    assert len(received) == 2


async def test_the_notice_of_a_delivery_has_its_origin(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(alice, origin=TRACEPARENT))
        assert (await next_of(changes)).origin == TRACEPARENT


async def test_a_slow_listener_receives_the_last_modseq_of_each_mailbox(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        for number in range(20):
            await store.deliver(delivery(Destination(alice, "Junk" if number % 2 else "INBOX")))
        mailboxes = [await store.mailbox(alice), await store.mailbox(alice, "Junk")]
        received = await read_until(changes, *mailboxes)
    assert len(received) <= 20
    for mailbox in mailboxes:
        modseqs = [change.modseq for change in received if change.mailbox_id == mailbox.id]
        assert modseqs == sorted(set(modseqs))


async def test_changes_of_other_accounts_are_not_notified(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(bob))
        receipt = await store.deliver(delivery(bob, alice))
        await store.delete_message(bob, receipt.message_id)
        await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
        received = await read_until(changes, await store.mailbox(alice))
    assert {change.account_id for change in received} == {alice}


async def test_every_listener_is_notified(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    inbox = await store.mailbox(alice)
    async with store.listen(alice) as one, store.listen(alice) as other:
        await store.deliver(delivery(alice))
        assert {(await next_of(one)).mailbox_id, (await next_of(other)).mailbox_id} == {inbox.id}


async def test_a_waiting_listener_is_woken(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        waiting = await start_waiting(changes)
        await store.deliver(delivery(alice))
        assert (await waiting).account_id == alice


async def test_a_listener_whose_wait_was_cancelled_can_wait_again(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        waiting = await start_waiting(changes)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await store.deliver(delivery(alice))
        assert (await next_of(changes)).account_id == alice


async def test_operations_without_effect_are_not_notified(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        await read_until(changes, inbox)
        with pytest.raises(MailboxNotFound):
            await store.deliver(delivery(alice, Destination(alice, "Nowhere")))
        await store.expunge(alice, inbox.id, uids(99))
        await store.set_flags(alice, inbox.id, uids(1, 99), FlagChange(remove=Flag.SEEN))
        await store.deliver(delivery(alice))
        change = await next_of(changes)
    assert change.modseq == (await store.mailbox(alice)).highest_modseq


async def test_a_listener_that_ended_does_not_affect_others(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as kept:
        with pytest.raises(RuntimeError, match="reader's own"):
            async with store.listen(alice):
                raise RuntimeError("the reader's own trouble")
        await store.deliver(delivery(alice))
        assert (await next_of(kept)).account_id == alice


async def test_a_change_before_the_subscription_is_read_or_notified_after_it(
    stores: tuple[MailStore, MailStore], alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = stores
    await one.provision(alice)
    monkeypatch.setattr(sqlite, "POLL_SECONDS", 3_600.0)  # only the subscription itself looks at the file
    snapshot = await one.snapshot(alice)
    await other.deliver(delivery(alice))
    async with one.listen(alice) as changes:
        current = await one.refresh(snapshot)
        if not current.entries:
            await next_of(changes)
            current = await one.refresh(current)
    assert len(current.entries) == 1
