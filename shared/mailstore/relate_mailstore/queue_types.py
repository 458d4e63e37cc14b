"""The values of the queue: outgoing mail, what a runner claims, and what it tells of an attempt.

An `Outgoing` is the envelope of a message for recipients elsewhere. The queue has one row per recipient, which owns the
raw message until every recipient of the message is in a final state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.suppression_types import Suppression

__all__ = [
    "FINAL_STATES",
    "WAITING_STATES",
    "AttemptResult",
    "Claimed",
    "Excess",
    "Lease",
    "Outgoing",
    "OutgoingRecipient",
    "QueueFilter",
    "QueuePage",
    "QueueState",
    "QueueStatistics",
    "QueuedRecipient",
    "RecipientId",
    "SendingLimit",
    "StsPolicy",
    "Suspension",
]

RecipientId = NewType("RecipientId", int)  # of a row of the queue; never assigned again


class QueueState(StrEnum):
    """The state of a recipient in the queue."""

    QUEUED = "queued"  # waits for its next attempt
    LEASED = "leased"  # a runner attempts the delivery
    HELD = "held"  # waits for an operator
    DELIVERED = "delivered"  # the next server has accepted the message
    FAILED = "failed"  # refused, expired or unroutable
    CANCELLED = "cancelled"  # dropped by an operator


FINAL_STATES = frozenset({QueueState.DELIVERED, QueueState.FAILED, QueueState.CANCELLED})
WAITING_STATES = frozenset({QueueState.QUEUED, QueueState.LEASED})
"""Those that a runner will change; a held recipient waits for an operator."""


@dataclass(frozen=True, slots=True)
class OutgoingRecipient:
    """A recipient elsewhere. `domain` is the key of the destination: the domain in lower case, as an A-label.

    `notify` and `orcpt` are the parameters of RFC 3461 §4.1 and §4.2, empty if they were not given.
    """

    address: str
    domain: str
    notify: str = ""
    orcpt: str = ""


class SendingLimit(NamedTuple):
    """The number of recipients elsewhere that an account may send to in any period of this length.

    A period is a multiple of 24 seconds (`sending_rules`).
    """

    period_seconds: int
    recipients: int


class Excess(NamedTuple):
    """The reason why a message is held: its account has sent to more recipients than a limit allows.

    `sent` is their number in the period, including those of the message. `is_told` means that the owner of the account
    was told in this period.
    """

    limit: SendingLimit
    sent: int
    is_told: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The envelope of a message for recipients elsewhere. `account_id` is the account that sends it.

    `sender` is empty for the null reverse-path. `ret` and `envid` are the parameters of RFC 3461 §4.3 and §4.4.
    `due` is when the first attempt is made, in seconds since the epoch; 0 means at once. With `is_held` there is none
    until an operator releases the message. A message beyond one of the `limits`, if it has any, is held too.
    """

    sender: str
    recipients: tuple[OutgoingRecipient, ...]
    account_id: AccountId
    ret: str = ""
    envid: str = ""
    is_8bit: bool = False  # BODY=8BITMIME (RFC 6152)
    is_utf8: bool = False  # SMTPUTF8 (RFC 6531)
    header_message_id: str = ""  # without angle brackets
    due: float = 0.0
    is_held: bool = False
    limits: tuple[SendingLimit, ...] = ()


class Lease(NamedTuple):
    """What a runner holds of a recipient: it is the runner's as long as `attempts` is that of the row."""

    recipient_id: RecipientId
    attempts: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A recipient that a runner has claimed, with what it needs of the message. Times are in seconds since the epoch.

    `attempts` includes the one that begins. `reply`, `status` and `trace` are those of the attempt before. `delay_told`
    means that the sender has been told of the delay (RFC 3464 §2.3.3). `origin` is the traceparent of the delivery.
    `suspended` is why the destination is suspended: the recipient is to be deferred without an attempt. It is empty if
    the destination is not suspended, and for the message that probes it, which `is_probe` marks.
    """

    recipient_id: RecipientId
    message_id: MessageId
    account_id: AccountId
    sender: str
    address: str
    domain: str
    notify: str
    orcpt: str
    ret: str
    envid: str
    size: int
    is_8bit: bool
    is_utf8: bool
    header_message_id: str
    origin: str | None
    arrived: float
    attempts: int
    reply: str
    status: str
    trace: str
    delay_told: bool
    suspended: str = ""
    is_probe: bool = False

    @property
    def lease(self) -> Lease:
        """The lease that `AttemptResult` names."""
        return Lease(self.recipient_id, self.attempts)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of an attempt for one recipient.

    `state` is QUEUED (deferred: `next_attempt`, in seconds since the epoch, is required), HELD, DELIVERED, FAILED or
    CANCELLED. `reply` is the other server's with its code, or our diagnosis; `status` the enhanced code (RFC 3463);
    `trace` the id of the attempt's trace. `suppression` lists the address, if the result means that it accepts no mail.
    Raises ValueError for any other state, and for a missing `next_attempt`.
    """

    lease: Lease
    state: QueueState
    reply: str = ""
    status: str = ""
    trace: str = ""
    next_attempt: float | None = None
    delay_told: bool = False
    suppression: Suppression | None = None

    def __post_init__(self) -> None:
        if self.state is QueueState.LEASED:
            raise ValueError("an attempt that ended holds no lease")
        if (self.state is QueueState.QUEUED) is (self.next_attempt is None):
            raise ValueError("a deferred recipient, and no other, has a next attempt")


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Recipients of the queue that an operator names; None matches any.

    `older_than` is a time in seconds since the epoch: what arrived before it.
    """

    recipient_id: RecipientId | None = None
    message_id: MessageId | None = None
    domain: str | None = None
    account_id: AccountId | None = None
    state: QueueState | None = None
    older_than: float | None = None


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A row of the queue, for operators. Times are in seconds since the epoch.

    `due` is the next attempt; None if there is none. `requested` is the state that an operator
    requested while the recipient was leased: it takes effect when the attempt ends.
    """

    recipient_id: RecipientId
    message_id: MessageId
    account_id: AccountId
    sender: str
    address: str
    domain: str
    state: QueueState
    requested: QueueState | None
    size: int
    header_message_id: str
    origin: str | None
    arrived: float
    due: float | None
    attempts: int
    reply: str
    status: str
    trace: str


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of the queue, in the order of arrival. `next_cursor` is None on the last page."""

    items: tuple[QueuedRecipient, ...]
    next_cursor: RecipientId | None = None


class StsPolicy(NamedTuple):
    """The MTA-STS policy of a domain (RFC 8461 §3.2) and its id. Times are in seconds since the epoch."""

    domain: str
    id: str
    fetched: float
    expires: float
    text: str


class Suspension(NamedTuple):
    """A destination that could not be reached: why, and when the next message probes it, in seconds since the epoch."""

    domain: str
    reply: str
    next_probe: float


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """The number of recipients by state, and when the oldest in one of WAITING_STATES arrived (None: there is none).

    Recipients in a final state are counted while another recipient of their message is not. `suspended` is the number
    of suspended destinations for which mail waits.
    """

    counts: Mapping[QueueState, int]
    oldest_arrived: float | None
    suspended: int = 0
