"""Webhooks: URLs that are told of events, and the deliveries that wait for them.

A browser's push subscription is a webhook with keys, at the browser's push service: both have the same events and
retries; the request differs.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from relate_mailstore.identifiers import AccountId

__all__ = [
    "ClaimedWebhook",
    "DisabledReason",
    "NewWebhook",
    "PushKeys",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookId",
    "WebhookReply",
    "WebhookState",
    "WebhookStatistics",
]

WebhookId = NewType("WebhookId", int)


class WebhookEvent(StrEnum):
    """What a webhook is told of; the names are those of streams of events."""

    NEW = "new"  # a message was delivered to a mailbox
    SENT = "sent"  # the server of a recipient accepted a message of the account
    BOUNCED = "bounced"  # a recipient does not get a message of the account
    TEST = "test"  # its owner has asked for it


class WebhookState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DisabledReason(StrEnum):
    """Why a webhook is disabled; empty if it is not, or its owner did it."""

    NONE = ""
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # no attempt succeeded for days


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What the owner of a webhook decides."""

    url: str
    events: frozenset[WebhookEvent]
    description: str = ""
    enabled: bool = True


class PushKeys(NamedTuple):
    """The keys that a browser has made for its push subscription (RFC 8291 §2), in unpadded base64url."""

    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. Times are in seconds since the epoch. `previous_secret` signs too, until `previous_until`.

    Only a push subscription has `keys`; it has no secret.
    """

    id: WebhookId
    account_id: AccountId
    settings: NewWebhook
    created: float
    secret: str = field(repr=False)
    previous_secret: str = field(default="", repr=False)
    previous_until: float = 0.0
    disabled: DisabledReason = DisabledReason.NONE
    keys: PushKeys | None = field(default=None, repr=False)

    @property
    def is_push(self) -> bool:
        """Whether it is a push subscription."""
        return self.keys is not None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event for one webhook: `body` is what is posted. `status` and `error` are those of the last attempt."""

    id: UUID
    event: WebhookEvent
    body: str
    created: float
    origin: str | None
    state: WebhookState = WebhookState.PENDING
    attempts: int = 0
    attempted: float | None = None
    status: int | None = None
    error: str = ""


class ClaimedWebhook(NamedTuple):
    """A webhook and its first pending delivery, leased until `lease`, in seconds since the epoch."""

    webhook: Webhook
    delivery: WebhookDelivery
    lease: float


class WebhookReply(NamedTuple):
    """The result of an attempt: the receiver's status, or why there is none; the seconds of its Retry-After."""

    status: int | None
    error: str = ""
    retry_after: float = 0.0


class WebhookStatistics(NamedTuple):
    """Numbers of all webhooks, or of all push subscriptions. Times are in seconds since the epoch; None if none waits.

    `oldest` is when the oldest waiting delivery was stored, `first_due` when the first attempt is due. `disabled` are
    those that were disabled because they failed.
    """

    enabled: int = 0
    disabled: int = 0
    oldest: float | None = None
    first_due: float | None = None
