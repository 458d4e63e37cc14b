"""The rows of webhooks, push subscriptions and their deliveries: which, with what values, and how they are parsed.

A push subscription is a row of `webhooks` that has the keys of a browser.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Double, Select, bindparam, delete, func, select, update

from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import webhook_deliveries, webhooks
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_types import (
    DisabledReason,
    NewWebhook,
    PushKeys,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookId,
    WebhookState,
)

IS_PUSH = webhooks.c.p256dh.is_not(None)
IS_WEBHOOK = webhooks.c.p256dh.is_(None)
BY_KEY = (webhooks.c.account_id == bindparam("of_account"), webhooks.c.id == bindparam("of_webhook"))
"""The row of a `row_key`."""
OF_WEBHOOK = (
    webhook_deliveries.c.account_id == bindparam("of_account"),
    webhook_deliveries.c.webhook_id == bindparam("of_webhook"),
)
"""The deliveries of a `row_key`."""
REMOVE_DELIVERIES = delete(webhook_deliveries).where(*OF_WEBHOOK)
ADVANCE = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("of_webhook"))
    .values(
        last_number=bindparam("new_number"),
        due=func.coalesce(webhooks.c.due, bindparam("now", type_=Double())),  # a lease and a pause remain
    )
)
"""Store the number of the last delivery, which is due now."""
NEW_ROW: dict[str, BindParameter[Any]] = {
    column.name: bindparam(f"new_{column.name}") for column in webhooks.c if column.name != "id"
}
"""The values of a new row; the database assigns the id."""


def all_of_account(kind: ColumnElement[bool]) -> Select[Any]:
    """The query for the rows of an account, of the kind IS_PUSH or IS_WEBHOOK."""
    return select(webhooks).where(webhooks.c.account_id == bindparam("account_id"), kind).order_by(webhooks.c.id)


def row_key(account_id: AccountId, webhook_id: WebhookId) -> dict[str, object]:
    """The parameters of `BY_KEY` and `OF_WEBHOOK`."""
    return {"of_account": account_id, "of_webhook": webhook_id}


def new_row(
    account_id: AccountId, settings: NewWebhook, secret: str, now: float, keys: PushKeys | None = None
) -> dict[str, object]:
    """The parameters of `NEW_ROW`."""
    row = {
        "account_id": account_id,
        **settings_columns(settings),
        "disabled": DisabledReason.NONE.value,
        "created": now,
        "secret": secret,
        "previous_secret": "",
        "previous_until": 0.0,
        "last_number": 0,
        "due": None,
        "p256dh": None if keys is None else keys.p256dh,
        "auth": None if keys is None else keys.auth,
    }
    return {f"new_{name}": value for name, value in row.items()}


def settings_columns(settings: NewWebhook) -> dict[str, object]:
    """The columns that the owner sets."""
    return {
        "url": storable(settings.url),
        "events": " ".join(sorted(settings.events)),
        "description": storable(settings.description),
        "enabled": settings.enabled,
    }


def parse_webhook(row: Any) -> Webhook:
    """Parse a row of `webhooks`."""
    events = frozenset(map(WebhookEvent, row.events.split()))
    return Webhook(
        WebhookId(row.id),
        AccountId(row.account_id),
        NewWebhook(row.url, events, row.description, bool(row.enabled)),
        row.created,
        row.secret,
        row.previous_secret,
        row.previous_until,
        DisabledReason(row.disabled),
        None if row.p256dh is None else PushKeys(row.p256dh, row.auth),
    )


def parse_delivery(row: Any) -> WebhookDelivery:
    """Parse a row of `webhook_deliveries`."""
    return WebhookDelivery(
        UUID(bytes=row.id.bytes),
        WebhookEvent(row.event),
        row.body,
        row.created,
        row.origin,
        WebhookState(row.state),
        row.attempts,
        row.attempted,
        row.status,
        row.error,
    )
