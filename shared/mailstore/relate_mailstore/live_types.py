"""What a client that follows an account is told of: changes of mailboxes, and what became of outgoing mail."""

from collections.abc import Sequence
from typing import NamedTuple

from relate_mailstore.event_types import EventName
from relate_mailstore.identifiers import LAST_UID, MailboxId, MessageId, ModSeq, Uid

__all__ = ["END_UID", "NO_MAILBOX", "OUTCOMES", "ChangeSpan", "MailboxChange", "Outcome"]

NO_MAILBOX = MailboxId(0)
"""In a notice: not a mailbox changed, but there are outcomes, up to the number that is the notice's modseq."""

END_UID = Uid(LAST_UID + 1)
"""Above every UID."""

OUTCOMES = frozenset({EventName.RELAYED, EventName.BOUNCED, EventName.EXPIRED})
"""The events that end the way of a message to a recipient elsewhere."""


class MailboxChange(NamedTuple):
    """The last change of an entry; without a `message_id` the entry was expunged."""

    modseq: ModSeq
    uid: Uid
    message_id: MessageId | None
    flags: int = 0
    keywords: Sequence[str] = ()


class ChangeSpan(NamedTuple):
    """Changes of a mailbox in the order of (modseq, UID): those after (`modseq`, `uid`) with at most modseq `until`.

    Of entries with UIDs below `before` only.
    """

    modseq: ModSeq
    uid: Uid
    until: ModSeq
    before: Uid


class Outcome(NamedTuple):
    """What became of a message for one recipient elsewhere. `time` is in seconds since the epoch.

    `number` ascends in the order of the commits of an account, without gaps. `reply` is that of the last attempt.
    """

    number: int
    name: EventName
    time: float
    message_id: MessageId | None
    recipient: str
    reply: str
    trace_id: str = ""
    span_id: str = ""

    @property
    def origin(self) -> str | None:
        """The traceparent of the attempt; None if it was not traced."""
        return f"00-{self.trace_id}-{self.span_id}-01" if self.trace_id and self.span_id else None
