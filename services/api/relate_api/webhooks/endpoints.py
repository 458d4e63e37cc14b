"""`/api/webhooks`: create, list, change, remove, test; deliveries and their replay.

A webhook tells another host of the user's mail until it is removed, also after the key that made it was revoked. So it
takes a key that may create keys.
"""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query

from relate_api.access.dependencies import InjectedServices, KeyOwner
from relate_api.webhooks.schemas import (
    DeliveryDetails,
    DeliveryPage,
    NewWebhookRequest,
    WebhookDetails,
    WebhookList,
    WebhookPatch,
    WebhookWithSecret,
)
from relate_api.webhooks.signing import make_secret
from relate_mailstore.errors import TooManyWebhooks
from relate_mailstore.webhook_types import WebhookId

MAX_PAGE_ITEMS = 100

# Ids and numbers are 64-bit integers in the database.
_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_ITEMS)]
_Cursor = Annotated[int | None, Query(ge=1, le=2**63 - 1)]

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])


@router.get("")
async def list_webhooks(principal: KeyOwner, services: InjectedServices) -> WebhookList:
    """List the user's webhooks, the oldest first."""
    found = await services.webhooks.of_account(principal.account_id)
    return WebhookList(items=[*map(WebhookDetails.of, found)], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_webhook(
    request: NewWebhookRequest, principal: KeyOwner, services: InjectedServices
) -> WebhookWithSecret:
    """Create a webhook. Its secret, which signs what is posted, is returned only by this request."""
    secret = make_secret()
    try:
        created = await services.webhooks.create(principal.account_id, request.settings(), secret)
    except TooManyWebhooks as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"at most {error}: remove one first") from None
    return WebhookWithSecret(secret=secret, details=WebhookDetails.of(created))


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: _Id, principal: KeyOwner, services: InjectedServices) -> WebhookDetails:
    """Get a webhook."""
    return WebhookDetails.of(await services.webhooks.get(principal.account_id, WebhookId(webhook_id)))


@router.patch("/{webhook_id}")
async def patch_webhook(
    webhook_id: _Id, patch: WebhookPatch, principal: KeyOwner, services: InjectedServices
) -> WebhookDetails:
    """Change a webhook. One that is enabled is sent at once what waits for it."""
    before = await services.webhooks.get(principal.account_id, WebhookId(webhook_id))
    settings = patch.applied_to(before.settings)
    return WebhookDetails.of(await services.webhooks.update(principal.account_id, before.id, settings))


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_webhook(webhook_id: _Id, principal: KeyOwner, services: InjectedServices) -> None:
    """Remove a webhook with its deliveries."""
    await services.webhooks.remove(principal.account_id, WebhookId(webhook_id))


@router.post("/{webhook_id}/rotate-secret")
async def rotate_webhook_secret(webhook_id: _Id, principal: KeyOwner, services: InjectedServices) -> WebhookWithSecret:
    """Give the webhook a new secret. For 24 hours what is posted has signatures of both."""
    secret = make_secret()
    rotated = await services.webhooks.rotate(principal.account_id, WebhookId(webhook_id), secret)
    return WebhookWithSecret(secret=secret, details=WebhookDetails.of(rotated))


@router.post("/{webhook_id}/test", status_code=HTTPStatus.ACCEPTED)
async def test_webhook(webhook_id: _Id, principal: KeyOwner, services: InjectedServices) -> DeliveryDetails:
    """Post an event `test`, after what waits."""
    return DeliveryDetails.of(await services.webhooks.test(principal.account_id, WebhookId(webhook_id)))


@router.get("/{webhook_id}/deliveries")
async def list_webhook_deliveries(
    webhook_id: _Id, principal: KeyOwner, services: InjectedServices, limit: _Limit = 50, cursor: _Cursor = None
) -> DeliveryPage:
    """List the deliveries of the last two weeks, the newest first."""
    found = await services.webhooks.deliveries(principal.account_id, WebhookId(webhook_id), limit, cursor)
    following = str(found[-1][0]) if len(found) == limit else None
    return DeliveryPage(items=[DeliveryDetails.of(delivery) for _, delivery in found], next_cursor=following)


@router.post("/{webhook_id}/deliveries/{delivery_id:uuid}/replay", status_code=HTTPStatus.ACCEPTED)
async def replay_webhook_delivery(
    webhook_id: _Id, delivery_id: UUID, principal: KeyOwner, services: InjectedServices
) -> DeliveryDetails:
    """Post a delivery again, after what waits, with the same id."""
    replayed = await services.webhooks.replay(principal.account_id, WebhookId(webhook_id), delivery_id)
    return DeliveryDetails.of(replayed)
