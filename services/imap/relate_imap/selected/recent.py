"""Which messages are \\Recent, and to which session: to the first that is told of them (RFC 3501 §2.3.2). Pure.

A session that selects a mailbox takes what is recent out of the store. What arrives while it is selected is taken here,
for this process, because a write for each message that is pushed would cost as much as its delivery; the store is told
when the session leaves the mailbox. So a message may be recent in sessions of several processes, as the RFC allows
where it can't be determined which of them was first.
"""

from collections import Counter
from typing import NamedTuple

from relate_mailstore.types import MailboxId


class Uids(NamedTuple):
    """The UIDs [first, stop)."""

    first: int
    stop: int


class RecentMessages:
    """What the sessions of a process have taken of the mailboxes that they have selected."""

    def __init__(self) -> None:
        self._sessions: Counter[MailboxId] = Counter()
        self._left: dict[MailboxId, int] = {}  # the first UID that no session has taken

    def enter(self, mailbox: MailboxId) -> None:
        """A session has selected a mailbox."""
        self._sessions[mailbox] += 1

    def leave(self, mailbox: MailboxId) -> None:
        """It has it selected no longer."""
        self._sessions[mailbox] -= 1
        if not self._sessions[mailbox]:
            del self._sessions[mailbox]
            self._left.pop(mailbox, None)

    def left(self, mailbox: MailboxId, uids: Uids) -> Uids:
        """Those of these messages that no session of this process has taken."""
        return Uids(min(max(uids.first, self._left.get(mailbox, 0)), uids.stop), uids.stop)

    def take(self, mailbox: MailboxId, uids: Uids) -> Uids:
        """The same, and they are taken now."""
        taken = self.left(mailbox, uids)
        self._left[mailbox] = max(taken.stop, self._left.get(mailbox, 0))
        return taken
