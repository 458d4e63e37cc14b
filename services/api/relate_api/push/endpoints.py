"""`/api/pushsubscriptions`: the public key for browsers; subscribe, list, remove.

A subscription tells a push service of the user's mail until it is removed, also after the key that made it was revoked.
So it takes a key that may create keys, as a webhook does.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from relate_api.access.dependencies import InjectedServices, KeyOwner
from relate_api.push.schemas import NewPushSubscription, PublicKey, PushSubscriptionDetails, PushSubscriptionList
from relate_mailstore.errors import TooManyWebhooks
from relate_mailstore.webhook_types import WebhookId

PREFIX = "/api/pushsubscriptions"
PUBLIC_KEY = f"{PREFIX}/vapid-public-key"

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

router = APIRouter(prefix=PREFIX, tags=["push subscriptions"])


@router.get("/vapid-public-key")
async def get_vapid_public_key(services: InjectedServices) -> PublicKey:
    """Get the key that browsers subscribe with."""
    return PublicKey(public_key=services.push_key)


@router.get("")
async def list_push_subscriptions(principal: KeyOwner, services: InjectedServices) -> PushSubscriptionList:
    """List the user's push subscriptions, the oldest first."""
    found = await services.push_subscriptions.of_account(principal.account_id)
    return PushSubscriptionList(items=[*map(PushSubscriptionDetails.of, found)], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_push_subscription(
    request: NewPushSubscription, principal: KeyOwner, services: InjectedServices
) -> PushSubscriptionDetails:
    """Subscribe a browser. One with the same endpoint is the same subscription, and gets the keys."""
    try:
        made = await services.push_subscriptions.subscribe(principal.account_id, request.endpoint, request.keys())
    except TooManyWebhooks as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"at most {error}: remove one first") from None
    return PushSubscriptionDetails.of(made)


@router.delete("/{subscription_id:int}", status_code=HTTPStatus.NO_CONTENT)
async def delete_push_subscription(subscription_id: _Id, principal: KeyOwner, services: InjectedServices) -> None:
    """Remove a push subscription."""
    await services.push_subscriptions.remove(principal.account_id, WebhookId(subscription_id))
