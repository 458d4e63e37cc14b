"""The data of each event, in JSON. A message is named by its id in the API; its text is never told."""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from relate_api.schemas import ResponseModel
from relate_mailstore.live_types import MailboxChange, Outcome
from relate_mailstore.types import Flag, Mailbox


class EventKind(StrEnum):
    """The field `event`."""

    NEW = "new"  # a message entered a mailbox: MessageEvent
    CHANGED = "changed"  # its flags or labels changed: MessageEvent
    REMOVED = "removed"  # it left the mailbox, RemovedMessageEvent; or the mailbox was deleted, RemovedMailboxEvent
    SENT = "sent"  # the server of a recipient accepted a message: OutcomeEvent
    BOUNCED = "bounced"  # a recipient does not get a message: OutcomeEvent
    RESET = "reset"  # the client has to read its lists again: ResetEvent


class ResetReason(StrEnum):
    """Why the changes since the client's position are not told."""

    UNKNOWN = "unknown"  # the position is malformed, another user's, or of an account with too many mailboxes
    TRIMMED = "trimmed"  # the client was away for too long
    TOO_MANY = "too_many"  # reading the list costs less
    RESTORED = "restored"  # the mailbox is in an earlier state, of a backup or before a crash


class MessageEvent(ResponseModel):
    """A message in a mailbox as it is now. `mailbox` and `uid` name its entry there, `id` the message."""

    id: UUID
    mailbox: str
    mailbox_id: int
    uid: int
    is_read: bool
    is_flagged: bool
    labels: list[str]


class RemovedMessageEvent(ResponseModel):
    """A message left a mailbox; it may still be in others."""

    mailbox: str
    mailbox_id: int
    uid: int

    @classmethod
    def of(cls, mailbox: Mailbox, change: MailboxChange) -> "RemovedMessageEvent":
        """The event of an expunged entry."""
        return cls(mailbox=mailbox.name, mailbox_id=mailbox.id, uid=change.uid)


class RemovedMailboxEvent(ResponseModel):
    """A mailbox was deleted, with all its messages."""

    mailbox_id: int


class OutcomeEvent(ResponseModel):
    """What became of a message for one recipient. `reply` is the last reply of a server, or why there was none."""

    id: UUID | None
    recipient: str
    reason: str  # "relayed", "bounced" or "expired", as in the journey of the message
    reply: str
    time: datetime

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeEvent":
        """The event of an outcome."""
        return cls(
            id=outcome.message_id,
            recipient=outcome.recipient,
            reason=outcome.name.value,
            reply=outcome.reply,
            time=datetime.fromtimestamp(outcome.time, UTC),
        )


class ResetEvent(ResponseModel):
    """Changes were not told: the client reads its lists again, then follows from here."""

    reason: ResetReason


LiveEvent = MessageEvent | RemovedMessageEvent | RemovedMailboxEvent | OutcomeEvent | ResetEvent


def message_event(mailbox: Mailbox, change: MailboxChange) -> MessageEvent:
    """The event of an entry that arrived or changed. Raises ValueError for an expunged one."""
    if change.message_id is None:
        raise ValueError("the entry was expunged")
    return MessageEvent(
        id=UUID(bytes=change.message_id.bytes),  # not the driver's own type
        mailbox=mailbox.name,
        mailbox_id=mailbox.id,
        uid=change.uid,
        is_read=bool(change.flags & Flag.SEEN),
        is_flagged=bool(change.flags & Flag.FLAGGED),
        labels=list(change.keywords),
    )
