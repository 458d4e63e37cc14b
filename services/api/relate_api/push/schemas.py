"""JSON schemas of push subscriptions."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from relate_api.push.encryption import parse_keys
from relate_api.schemas import Page, RequestModel, ResponseModel
from relate_api.webhooks.schemas import Url
from relate_mailstore.webhook_types import PushKeys, Webhook

Key = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9+/_-]*={0,2}$")]


class PublicKey(ResponseModel):
    """The key that a browser subscribes with (`applicationServerKey`)."""

    public_key: str


class NewPushSubscription(RequestModel):
    """A subscription as a browser has made it: `endpoint`, and its keys `p256dh` and `auth` in base64url."""

    endpoint: Url
    p256dh_key: Annotated[Key, Field(alias="p256dhKey")]
    auth_key: Key

    @model_validator(mode="after")
    def _has_valid_keys(self) -> Self:
        self.keys()
        return self

    def keys(self) -> PushKeys:
        """The keys for the store. Raises ValueError."""
        return parse_keys(self.p256dh_key, self.auth_key)


class PushSubscriptionDetails(ResponseModel):
    """A push subscription without its keys."""

    id: int
    endpoint: str
    created: datetime

    @classmethod
    def of(cls, subscription: Webhook) -> Self:
        """The details of a subscription."""
        created = datetime.fromtimestamp(subscription.created, UTC)
        return cls(id=subscription.id, endpoint=subscription.settings.url, created=created)


class PushSubscriptionList(Page[PushSubscriptionDetails]):
    """All push subscriptions of the user, on one page."""
