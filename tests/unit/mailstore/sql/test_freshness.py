"""Freshness of cached mailboxes: current until a later modseq is notified, and within one epoch only."""

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.notices.freshness import MAILBOX_OCTETS, Freshness
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice, ModSeq

ANN, INBOX, SENT = AccountId(1), MailboxId(2), MailboxId(3)


def test_mailbox_is_current_until_a_later_modseq_is_notified() -> None:
    freshness = Freshness(lambda: 1, Caches())
    freshness.mark_read(INBOX, freshness.stamp())
    assert freshness.is_current(INBOX, ModSeq(5))
    freshness.record([MailboxNotice(ANN, INBOX, ModSeq(5)), MailboxNotice(ANN, SENT, ModSeq(9))])
    assert freshness.is_current(INBOX, ModSeq(5))
    freshness.record([MailboxNotice(ANN, INBOX, ModSeq(6)), MailboxNotice(ANN, INBOX, ModSeq(4))])
    assert not freshness.is_current(INBOX, ModSeq(5))
    assert freshness.is_current(INBOX, ModSeq(6))


def test_mailbox_that_was_never_read_is_not_current() -> None:
    assert not Freshness(lambda: 1, Caches()).is_current(INBOX, ModSeq(10**9))


def test_notice_during_the_first_read_leaves_the_mailbox_stale() -> None:
    freshness = Freshness(lambda: 1, Caches())
    stamp = freshness.stamp()
    freshness.record([MailboxNotice(ANN, SENT, ModSeq(9))])
    freshness.mark_read(INBOX, stamp)
    assert not freshness.is_current(INBOX, ModSeq(5))
    stamp = freshness.stamp()
    freshness.record([MailboxNotice(ANN, INBOX, ModSeq(7))])
    freshness.mark_read(INBOX, stamp)
    assert not freshness.is_current(INBOX, ModSeq(5))
    assert freshness.is_current(INBOX, ModSeq(7))


def test_no_mailbox_is_current_in_another_epoch_or_without_one() -> None:
    epoch: list[object] = [1]
    freshness = Freshness(lambda: epoch[0], Caches())
    freshness.mark_read(INBOX, freshness.stamp())
    for now, current in ((1, True), (None, False), (2, False), (1, True)):
        epoch[0] = now
        assert freshness.is_current(INBOX, ModSeq(5)) is current
    epoch[0] = None
    freshness.mark_read(INBOX, freshness.stamp())
    assert not freshness.is_current(INBOX, ModSeq(5))


def test_mailboxes_that_were_read_last_are_cached() -> None:
    caches = Caches()
    freshness = Freshness(lambda: 1, caches)
    caches["freshness"].limit_octets = 2 * MAILBOX_OCTETS
    for number in (1, 2, 3):
        freshness.mark_read(MailboxId(number), freshness.stamp())
    assert [freshness.is_current(MailboxId(number), ModSeq(5)) for number in (1, 2, 3)] == [False, True, True]
