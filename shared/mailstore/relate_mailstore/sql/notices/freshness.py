"""What this process heard of the mailboxes that it looked at: whether what it knows of one is still so, unasked.

Whoever listens hears of every commit within an epoch, an unbroken stretch of listening. What was read in an epoch is
current until a later modseq is heard in it. Between epochs (the connection was lost, a notice could not name the
mailboxes) anything may have happened.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from relate_mailstore.sql.cache.lru import Caches, LruCache
from relate_mailstore.types import MailboxId, MailboxNotice

MAILBOX_OCTETS = 320  # of a cache entry, measured with tracemalloc


class Stamp(NamedTuple):
    """When something was read: in which epoch, and after how many notices."""

    epoch: object
    notices: int


@dataclass(slots=True)
class _Known:
    epoch: object = None  # in which it was read; None where it must be read again
    modseq: int = 0  # the latest that was heard


class Heard:
    """`epoch` tells the epoch now: a value that is equal to no other epoch's; None while nobody listens."""

    def __init__(self, epoch: Callable[[], object], caches: Caches) -> None:
        self.epoch = epoch
        self._known: LruCache[MailboxId, _Known] = caches.add("freshness", _weigh)
        self._notices = 0

    def hear(self, changes: Collection[MailboxNotice]) -> None:
        """These were committed."""
        self._notices += 1
        for change in changes:
            if known := self._known.peek(change.mailbox_id):
                known.modseq = max(known.modseq, change.modseq)

    @property
    def notices(self) -> int:
        """How many were heard."""
        return self._notices

    def stamp(self) -> Stamp:
        """To be taken before a mailbox is read."""
        return Stamp(self.epoch(), self._notices)

    def read(self, mailbox_id: MailboxId, stamp: Stamp) -> None:
        """A mailbox was read. If it is the first time, notices that came meanwhile may have been of it, unheeded."""
        known = self._known.pop(mailbox_id)
        certain = known is not None or stamp.notices == self._notices
        known = known or _Known()
        known.epoch = stamp.epoch if certain else None
        self._known.put(mailbox_id, known)

    def is_current(self, mailbox_id: MailboxId, modseq: int) -> bool:
        """Whether a mailbox that was at this modseq when it was read still is."""
        known = self._known.peek(mailbox_id)
        if known is None or known.epoch is None or known.modseq > modseq:
            return False
        return known.epoch == self.epoch()


def _weigh(_: _Known) -> int:
    return MAILBOX_OCTETS
