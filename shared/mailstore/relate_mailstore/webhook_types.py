"""Webhooks: URLs that are told of events, and the deliveries that wait for them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from relate_mailstore.identifiers import AccountId

__all__ = [
    "ClaimedWebhook",
    "DisabledReason",
    "NewWebhook",
    "Webhook",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookId",
    "WebhookReply",
    "WebhookState",
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


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. Times are in seconds since the epoch. `previous_secret` signs too, until `previous_until`."""

    id: WebhookId
    account_id: AccountId
    settings: NewWebhook
    created: float
    secret: str = field(repr=False)
    previous_secret: str = field(default="", repr=False)
    previous_until: float = 0.0
    disabled: DisabledReason = DisabledReason.NONE


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
    """The result of an attempt: the receiver's status, or why there is none."""

    status: int | None
    error: str = ""
