"""Tracks which cached mailboxes are still current, from change notices alone, without querying the database.

While a process listens without interruption it receives a notice of every commit; that period is an epoch. What was
read in an epoch is current until the same epoch brings a notice with a later modseq. Between epochs (the connection
was lost, or a notice was too large to name the mailboxes) any mailbox may have changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from relate_mailstore.identifiers import NO_MODSEQ
from relate_mailstore.sql.cache.lru import Caches, LruCache
from relate_mailstore.types import MailboxId, MailboxNotice, ModSeq

MAILBOX_OCTETS = 320  # of a cache entry, measured with tracemalloc


class ReadStamp(NamedTuple):
    """The moment of a read: its epoch, and how many batches of notices had been received."""

    epoch: object
    notice_count: int


@dataclass(slots=True)
class _Tracked:
    epoch: object = None  # of the last read; None if the mailbox must be read again
    modseq: ModSeq = NO_MODSEQ  # the latest one received


class Freshness:
    """The newest modseq received for each mailbox that this process has read.

    `epoch` returns the current epoch: a value that differs from every other epoch's, or None while the process does
    not listen.
    """

    def __init__(self, epoch: Callable[[], object], caches: Caches) -> None:
        self.epoch = epoch
        self._tracked: LruCache[MailboxId, _Tracked] = caches.add("freshness", _weigh)
        self._notice_count = 0

    def record(self, notices: Iterable[MailboxNotice]) -> None:
        """Record the notices of a commit."""
        self._notice_count += 1
        for notice in notices:
            if tracked := self._tracked.peek(notice.mailbox_id):
                tracked.modseq = max(tracked.modseq, notice.modseq)

    @property
    def notice_count(self) -> int:
        """How many times notices were recorded."""
        return self._notice_count

    def stamp(self) -> ReadStamp:
        """The stamp of a read that begins now."""
        return ReadStamp(self.epoch(), self._notice_count)

    def mark_read(self, mailbox_id: MailboxId, stamp: ReadStamp) -> None:
        """Record that a mailbox was read.

        During the first read its notices are not tracked yet; if any notice arrived, it must be read again.
        """
        tracked = self._tracked.pop(mailbox_id)
        is_certain = tracked is not None or stamp.notice_count == self._notice_count
        tracked = tracked or _Tracked()
        tracked.epoch = stamp.epoch if is_certain else None
        self._tracked.put(mailbox_id, tracked)

    def is_current(self, mailbox_id: MailboxId, modseq: ModSeq) -> bool:
        """Whether a mailbox that had this modseq when it was read is unchanged."""
        tracked = self._tracked.peek(mailbox_id)
        if tracked is None or tracked.epoch is None or tracked.modseq > modseq:
            return False
        return tracked.epoch == self.epoch()


def _weigh(_: _Tracked) -> int:
    return MAILBOX_OCTETS
