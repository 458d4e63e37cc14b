"""Freshness of cached mailboxes: current until a later modseq is notified, and within one epoch only."""

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.notices.freshness import MAILBOX_OCTETS, Heard
from relate_mailstore.types import AccountId, MailboxId, MailboxNotice

ANN, INBOX, SENT = AccountId(1), MailboxId(2), MailboxId(3)


def test_mailbox_is_current_until_a_later_modseq_is_notified() -> None:
    heard = Heard(lambda: 1, Caches())
    heard.read(INBOX, heard.stamp())
    assert heard.is_current(INBOX, 5)
    heard.hear([MailboxNotice(ANN, INBOX, 5), MailboxNotice(ANN, SENT, 9)])
    assert heard.is_current(INBOX, 5)
    heard.hear([MailboxNotice(ANN, INBOX, 6), MailboxNotice(ANN, INBOX, 4)])
    assert not heard.is_current(INBOX, 5)
    assert heard.is_current(INBOX, 6)


def test_mailbox_that_was_never_read_is_not_current() -> None:
    assert not Heard(lambda: 1, Caches()).is_current(INBOX, 10**9)


def test_notice_during_the_first_read_leaves_the_mailbox_stale() -> None:
    heard = Heard(lambda: 1, Caches())
    stamp = heard.stamp()
    heard.hear([MailboxNotice(ANN, SENT, 9)])
    heard.read(INBOX, stamp)
    assert not heard.is_current(INBOX, 5)
    stamp = heard.stamp()
    heard.hear([MailboxNotice(ANN, INBOX, 7)])
    heard.read(INBOX, stamp)
    assert not heard.is_current(INBOX, 5)
    assert heard.is_current(INBOX, 7)


def test_no_mailbox_is_current_in_another_epoch_or_without_one() -> None:
    epoch: list[object] = [1]
    heard = Heard(lambda: epoch[0], Caches())
    heard.read(INBOX, heard.stamp())
    for now, current in ((1, True), (None, False), (2, False), (1, True)):
        epoch[0] = now
        assert heard.is_current(INBOX, 5) is current
    epoch[0] = None
    heard.read(INBOX, heard.stamp())
    assert not heard.is_current(INBOX, 5)


def test_mailboxes_that_were_read_last_are_cached() -> None:
    caches = Caches()
    heard = Heard(lambda: 1, caches)
    caches["freshness"].limit_octets = 2 * MAILBOX_OCTETS
    for number in (1, 2, 3):
        heard.read(MailboxId(number), heard.stamp())
    assert [heard.is_current(MailboxId(number), 5) for number in (1, 2, 3)] == [False, True, True]
