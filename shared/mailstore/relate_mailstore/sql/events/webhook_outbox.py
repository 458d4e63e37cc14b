"""What webhooks are told is stored in the transaction of the events that it tells of, so that none is lost."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, true

from relate_mailstore.event_types import Event
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.sql.driver.dialects import numbers, one_of
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.due_changes import WEBHOOK_CHANNEL, announce
from relate_mailstore.sql.events.webhook_rows import ADVANCE, parse_webhook
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import webhook_deliveries, webhooks
from relate_mailstore.webhook_rules import accounts_told, deliveries_of
from relate_mailstore.webhook_types import Webhook, WebhookDelivery, WebhookId, WebhookState

_LOCK = (
    select(webhooks)
    .where(one_of(webhooks.c.account_id, numbers("accounts")), webhooks.c.enabled == true())
    .order_by(webhooks.c.id)
    .with_for_update()
)
_ADD = insert(webhook_deliveries)

_new_ids = generate_message_ids()


def add_webhook_deliveries(connection: Connection, events: Sequence[Event], now: float) -> bool:
    """Add the deliveries that a transaction's stored events cause; whether there are any.

    No statement without events that webhooks are told of; one, of one index, without webhooks of their accounts.
    """
    accounts = accounts_told(events)
    rows = run(connection, _LOCK, {"accounts": accounts}) if accounts else []
    last = {WebhookId(row.id): int(row.last_number) for row in rows}
    return _add(connection, last, deliveries_of(map(parse_webhook, rows), events, _new_ids), now)


def add_delivery(connection: Connection, row: Any, delivery: WebhookDelivery, now: float) -> None:
    """Add one delivery to the webhook of a locked row."""
    _add(connection, {WebhookId(row.id): int(row.last_number)}, [(parse_webhook(row), delivery)], now)


def _add(
    connection: Connection,
    last: dict[WebhookId, int],
    deliveries: Iterable[tuple[Webhook, WebhookDelivery]],
    now: float,
) -> bool:
    rows, advanced = list[dict[str, object]](), dict[WebhookId, int]()
    for webhook, delivery in deliveries:
        last[webhook.id] += 1
        advanced[webhook.id] = last[webhook.id]
        rows.append(_delivery_row(webhook, last[webhook.id], delivery))
    if rows:
        run_many(connection, _ADD, rows)
        run_many(
            connection, ADVANCE, [{"of_webhook": each, "new_number": n, "now": now} for each, n in advanced.items()]
        )
        announce(connection, WEBHOOK_CHANNEL)
    return bool(rows)


def _delivery_row(webhook: Webhook, number: int, delivery: WebhookDelivery) -> dict[str, object]:
    return {
        "account_id": webhook.account_id,
        "webhook_id": webhook.id,
        "number": number,
        "id": delivery.id,
        "event": delivery.event.value,
        "body": storable(delivery.body),
        "created": delivery.created,
        "origin": delivery.origin,
        "state": WebhookState.PENDING.value,
        "attempts": 0,
        "attempted": None,
        "status": None,
        "error": "",
    }
