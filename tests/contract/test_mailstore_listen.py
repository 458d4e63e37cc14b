"""Change notices: every kind of change is told, to its own account only, and a slow reader misses nothing.

Notices come later than commits: what was changed before a subscription may still be told to it. Hence a test that
counts them lets those of its beginning come first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
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
from tests.support.factories import delivery

PATIENCE = 10.0  # seconds until a notice that does not come fails its test
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Action = Callable[[MailStore, AccountId, MailboxId, MessageId], Awaitable[object]]

KINDS: dict[str, Action] = {
    "deliver": lambda store, account, mailbox, message: store.deliver(delivery(account)),
    "set_flags": lambda store, account, mailbox, message: store.set_flags(account, mailbox, [1], FlagChange(Flag.SEEN)),
    "flag_message": lambda store, account, mailbox, message: store.flag_message(
        account, message, FlagChange(add_keywords=("todo",))
    ),
    "expunge": lambda store, account, mailbox, message: store.expunge(account, mailbox, [1]),
    "delete_message": lambda store, account, mailbox, message: store.delete_message(account, message),
}


async def next_of(changes: AsyncIterator[MailboxNotice]) -> MailboxNotice:
    async with asyncio.timeout(PATIENCE):
        return await anext(changes)


async def begin_to_wait(changes: AsyncIterator[MailboxNotice]) -> asyncio.Task[MailboxNotice]:
    """A task that waits for the next change, when this returns."""
    begun = asyncio.Event()

    async def wait() -> MailboxNotice:
        begun.set()
        return await next_of(changes)

    waiting = asyncio.create_task(wait())
    await begun.wait()
    return waiting


async def read_until_told(changes: AsyncIterator[MailboxNotice], *mailboxes: Mailbox) -> list[MailboxNotice]:
    """Changes up to those that tell of these mailboxes as they are."""
    wanted = {(mailbox.id, mailbox.highest_modseq) for mailbox in mailboxes}
    told: list[MailboxNotice] = []
    while wanted:
        told.append(await next_of(changes))
        wanted.discard((told[-1].mailbox_id, told[-1].modseq))
    return told


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_change_is_told_with_mailbox_and_modseq(
    store: MailStore, alice: AccountId, kind: str
) -> None:
    async with store.listen(alice) as changes:
        receipt = await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        await read_until_told(changes, inbox)
        await KINDS[kind](store, alice, inbox.id, receipt.message_id)
        change = await next_of(changes)
    after = await store.mailbox(alice)
    assert (change.account_id, change.mailbox_id, change.modseq) == (alice, inbox.id, after.highest_modseq)
    assert after.highest_modseq > inbox.highest_modseq


async def test_a_change_in_several_mailboxes_is_told_for_each(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        receipt = await store.deliver(delivery(alice, Destination(alice, "Sent")))
        await read_until_told(changes, await store.mailbox(alice), await store.mailbox(alice, "Sent"))
        await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
        told = await read_until_told(changes, await store.mailbox(alice), await store.mailbox(alice, "Sent"))
    assert len(told) == 2


async def test_a_delivery_is_told_with_its_origin(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(alice, origin=TRACEPARENT))
        assert (await next_of(changes)).origin == TRACEPARENT


async def test_a_slow_reader_loses_no_mailbox_and_no_last_modseq(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        for number in range(20):
            await store.deliver(delivery(Destination(alice, "Junk" if number % 2 else "INBOX")))
        mailboxes = [await store.mailbox(alice), await store.mailbox(alice, "Junk")]
        told = await read_until_told(changes, *mailboxes)
    assert len(told) <= 20
    for mailbox in mailboxes:
        modseqs = [change.modseq for change in told if change.mailbox_id == mailbox.id]
        assert modseqs == sorted(set(modseqs))


async def test_changes_of_other_accounts_are_not_told(store: MailStore, alice: AccountId, bob: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(bob))
        receipt = await store.deliver(delivery(bob, alice))
        await store.delete_message(bob, receipt.message_id)
        await store.flag_message(alice, receipt.message_id, FlagChange(Flag.SEEN))
        told = await read_until_told(changes, await store.mailbox(alice))
    assert {change.account_id for change in told} == {alice}


async def test_every_subscriber_is_told(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    inbox = await store.mailbox(alice)
    async with store.listen(alice) as one, store.listen(alice) as other:
        await store.deliver(delivery(alice))
        assert {(await next_of(one)).mailbox_id, (await next_of(other)).mailbox_id} == {inbox.id}


async def test_a_reader_that_waits_is_woken(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        waiting = await begin_to_wait(changes)
        await store.deliver(delivery(alice))
        assert (await waiting).account_id == alice


async def test_a_reader_that_gave_up_waiting_can_wait_again(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as changes:
        waiting = await begin_to_wait(changes)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await store.deliver(delivery(alice))
        assert (await next_of(changes)).account_id == alice


async def test_what_changed_nothing_is_not_told(store: MailStore, alice: AccountId) -> None:
    async with store.listen(alice) as changes:
        await store.deliver(delivery(alice))
        inbox = await store.mailbox(alice)
        await read_until_told(changes, inbox)
        with pytest.raises(MailboxNotFound):
            await store.deliver(delivery(alice, Destination(alice, "Nowhere")))
        await store.expunge(alice, inbox.id, [99])
        await store.set_flags(alice, inbox.id, [1, 99], FlagChange(remove=Flag.SEEN))
        await store.deliver(delivery(alice))
        change = await next_of(changes)
    assert change.modseq == (await store.mailbox(alice)).highest_modseq


async def test_a_subscription_that_ended_leaves_the_others_alone(store: MailStore, alice: AccountId) -> None:
    await store.provision(alice)
    async with store.listen(alice) as kept:
        with pytest.raises(RuntimeError, match="reader's own"):
            async with store.listen(alice):
                raise RuntimeError("the reader's own trouble")
        await store.deliver(delivery(alice))
        assert (await next_of(kept)).account_id == alice
