"""JSON schemas of webhooks and their deliveries."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool

from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_mailstore.webhook_types import (
    DisabledReason,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookState,
)
from relate_outbound.client import MAX_URL_CHARACTERS

MAX_DESCRIPTION_CHARACTERS = 200
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

Subscribed = Literal["new", "sent", "bounced"]


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("the URL is malformed") from None
    if parts.scheme != "https" or not parts.hostname or not has_port or "@" in parts.netloc:
        raise ValueError("the URL has to begin with https:// and a host, without user and password")
    return url


Url = Annotated[
    str,
    Field(max_length=MAX_URL_CHARACTERS, pattern=r"^https:/{2}[!-~]+$"),  # without a URL in the OpenAPI document
    AfterValidator(_check_url),
]
Events = Annotated[list[Subscribed], Field(min_length=1, max_length=3)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS, pattern=_PRINTABLE)]


class NewWebhookRequest(RequestModel):
    """The webhook to create."""

    url: Url
    events: Events
    description: Description = ""
    enabled: StrictBool = True

    def settings(self) -> NewWebhook:
        """The settings for the store."""
        return NewWebhook(self.url, frozenset(map(WebhookEvent, self.events)), self.description, self.enabled)


class WebhookPatch(RequestModel):
    """What to change; what is missing remains."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: StrictBool | None = None

    def applied_to(self, before: NewWebhook) -> NewWebhook:
        """The settings after the change."""
        return NewWebhook(
            before.url if self.url is None else self.url,
            before.events if self.events is None else frozenset(map(WebhookEvent, self.events)),
            before.description if self.description is None else self.description,
            before.enabled if self.enabled is None else self.enabled,
        )


class WebhookDetails(ResponseModel):
    """A webhook without its secret. `disabledReason` is null if it is enabled, or its owner has disabled it."""

    id: int
    url: str
    events: list[WebhookEvent]
    description: str
    enabled: bool
    disabled_reason: DisabledReason | None
    created: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """The details of a webhook."""
        settings = webhook.settings
        return cls(
            id=webhook.id,
            url=settings.url,
            events=sorted(settings.events),
            description=settings.description,
            enabled=settings.enabled,
            disabled_reason=webhook.disabled or None,
            created=datetime.fromtimestamp(webhook.created, UTC),
        )


class WebhookWithSecret(ResponseModel):
    """A webhook with a new secret, which cannot be shown again."""

    secret: str
    details: WebhookDetails


class WebhookList(Page[WebhookDetails]):
    """All webhooks of the user, on one page."""


class DeliveryDetails(ResponseModel):
    """A delivery. `id` is the receiver's `webhook-id`; `status` and `error` are those of the last attempt."""

    id: UUID
    event: WebhookEvent
    state: WebhookState
    attempts: int
    created: datetime
    attempted: datetime | None
    status: int | None
    error: str
    body: str

    @classmethod
    def of(cls, delivery: WebhookDelivery) -> Self:
        """The details of a delivery."""
        return cls(
            id=delivery.id,
            event=delivery.event,
            state=delivery.state,
            attempts=delivery.attempts,
            created=datetime.fromtimestamp(delivery.created, UTC),
            attempted=None if delivery.attempted is None else datetime.fromtimestamp(delivery.attempted, UTC),
            status=delivery.status,
            error=delivery.error,
            body=delivery.body,
        )


class DeliveryPage(Page[DeliveryDetails]):
    """A page of deliveries, the newest first."""
