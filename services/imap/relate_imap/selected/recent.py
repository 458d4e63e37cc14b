"""Which messages are \\Recent, and to which session: to the first that is told of them (RFC 3501 §2.3.2). Pure.

A session that selects a mailbox takes what is recent out of the store. What arrives while it is selected is claimed here,
for this process, because a write for each message that is pushed would cost as much as its delivery; the store is told
when the session leaves the mailbox. So a message may be recent in sessions of several processes, as the RFC allows
where it can't be determined which of them was first.
"""

from collections import Counter
from typing import NamedTuple

from relate_mailstore.types import MailboxId


class UidRange(NamedTuple):
    """The UIDs [first, stop)."""

    first: int
    stop: int


class RecentMessages:
    """What the sessions of a process have claimed of the mailboxes that they have selected."""

    def __init__(self) -> None:
        self._sessions: Counter[MailboxId] = Counter()
        self._first_unclaimed: dict[MailboxId, int] = {}  # the first UID that no session has claimed

    def open(self, mailbox: MailboxId) -> None:
        """A session has selected a mailbox."""
        self._sessions[mailbox] += 1

    def close(self, mailbox: MailboxId) -> None:
        """It has it selected no longer."""
        self._sessions[mailbox] -= 1
        if not self._sessions[mailbox]:
            del self._sessions[mailbox]
            self._first_unclaimed.pop(mailbox, None)

    def unclaimed(self, mailbox: MailboxId, uids: UidRange) -> UidRange:
        """Those of these messages that no session of this process has claimed."""
        return UidRange(min(max(uids.first, self._first_unclaimed.get(mailbox, 0)), uids.stop), uids.stop)

    def claim(self, mailbox: MailboxId, uids: UidRange) -> UidRange:
        """The same, and they are claimed now."""
        claimed = self.unclaimed(mailbox, uids)
        self._first_unclaimed[mailbox] = max(claimed.stop, self._first_unclaimed.get(mailbox, 0))
        return claimed
