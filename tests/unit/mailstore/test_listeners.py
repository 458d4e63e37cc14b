"""Who is told of changes, in one process."""

import asyncio

from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice

ANN = AccountId(1)
INBOX = MailboxId(11)


async def test_a_slow_reader_sees_a_mailbox_once_with_its_newest_modseq() -> None:
    subscriptions = ChangeListeners()
    async with subscriptions.listen(ANN) as changes:
        subscriptions.tell(MailboxNotice(ANN, INBOX, modseq) for modseq in (5, 6, 7))
        assert await anext(changes) == MailboxNotice(ANN, INBOX, 7)


async def test_what_was_looked_up_does_not_hide_a_newer_notice() -> None:
    subscriptions = ChangeListeners()
    async with subscriptions.listen(ANN) as changes:
        subscriptions.tell([MailboxNotice(ANN, INBOX, 7, "origin"), MailboxNotice(ANN, INBOX, 6)])
        assert await anext(changes) == MailboxNotice(ANN, INBOX, 7, "origin")


async def test_nobody_is_kept_after_leaving() -> None:
    subscriptions = ChangeListeners()
    async with subscriptions.listen(ANN), subscriptions.listen(ANN):
        assert set(subscriptions.accounts) == {ANN}
    assert not subscriptions.accounts


async def test_waiting_takes_no_turn_of_the_loop() -> None:
    subscriptions = ChangeListeners()
    async with subscriptions.listen(ANN) as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert not waiting.done()
        subscriptions.tell([MailboxNotice(ANN, INBOX, 1)])
        assert (await waiting).modseq == 1
