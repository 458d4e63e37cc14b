"""Delivery of mailbox notices to listeners in one process."""

import asyncio

from relate_mailstore.listeners import ChangeListeners
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice, ModSeq

ANN = AccountId(1)
INBOX = MailboxId(11)


async def test_notices_of_a_mailbox_coalesce_to_the_newest() -> None:
    listeners = ChangeListeners()
    async with listeners.listen(ANN) as notices:
        listeners.notify(MailboxNotice(ANN, INBOX, ModSeq(modseq)) for modseq in (5, 6, 7))
        assert await anext(notices) == MailboxNotice(ANN, INBOX, ModSeq(7))


async def test_an_older_notice_does_not_replace_a_newer_one() -> None:
    listeners = ChangeListeners()
    async with listeners.listen(ANN) as notices:
        listeners.notify([MailboxNotice(ANN, INBOX, ModSeq(7), "origin"), MailboxNotice(ANN, INBOX, ModSeq(6))])
        assert await anext(notices) == MailboxNotice(ANN, INBOX, ModSeq(7), "origin")


async def test_listeners_are_removed_when_they_leave() -> None:
    listeners = ChangeListeners()
    async with listeners.listen(ANN), listeners.listen(ANN):
        assert set(listeners.accounts) == {ANN}
    assert not listeners.accounts


async def test_waiting_for_a_notice_does_not_spin() -> None:
    listeners = ChangeListeners()
    async with listeners.listen(ANN) as notices:
        waiting = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        assert not waiting.done()
        listeners.notify([MailboxNotice(ANN, INBOX, ModSeq(1))])
        assert (await waiting).modseq == 1
