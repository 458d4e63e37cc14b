"""Assigns \\Recent messages to sessions: to the first one that is notified of them (RFC 3501 §2.3.2). Pure.

A session that selects a mailbox claims its recent messages in the store. Messages that arrive later are claimed here,
in memory, because a write per pushed message would cost as much as its delivery; the store is updated when the session
leaves the mailbox. So a message may be recent in sessions of several processes, which the RFC allows if the first
session cannot be determined.
"""

from collections import Counter
from typing import NamedTuple

from relate_mailstore.types import MailboxId, Uid


class UidRange(NamedTuple):
    """The UIDs [first, stop)."""

    first: Uid
    stop: Uid


class RecentMessages:
    """The recent messages that sessions of this process have claimed, by selected mailbox."""

    def __init__(self) -> None:
        self._sessions: Counter[MailboxId] = Counter()
        self._first_unclaimed: dict[MailboxId, Uid] = {}  # the first UID that no session has claimed

    def open(self, mailbox: MailboxId) -> None:
        """A session has selected a mailbox."""
        self._sessions[mailbox] += 1

    def close(self, mailbox: MailboxId) -> None:
        """A session has left a mailbox."""
        self._sessions[mailbox] -= 1
        if not self._sessions[mailbox]:
            del self._sessions[mailbox]
            self._first_unclaimed.pop(mailbox, None)

    def unclaimed(self, mailbox: MailboxId, uids: UidRange) -> UidRange:
        """The part of `uids` that no session of this process has claimed."""
        return UidRange(min(max(uids.first, self._first_unclaimed.get(mailbox, uids.first)), uids.stop), uids.stop)

    def claim(self, mailbox: MailboxId, uids: UidRange) -> UidRange:
        """Claim the unclaimed part of `uids`; returns it."""
        claimed = self.unclaimed(mailbox, uids)
        self._first_unclaimed[mailbox] = max(claimed.stop, self._first_unclaimed.get(mailbox, claimed.stop))
        return claimed
