"""The attempts of webhooks and push subscriptions: claimed when they are due, settled, trimmed and counted.

A webhook is leased by its `due`, which a claim moves to the end of the lease: on PostgreSQL several processes claim,
and each takes rows that no other has locked.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    Integer,
    bindparam,
    delete,
    func,
    literal_column,
    null,
    select,
    true,
    update,
)

from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.events.webhook_rows import (
    IS_PUSH,
    OF_WEBHOOK,
    REMOVE_DELIVERIES,
    parse_delivery,
    parse_webhook,
    row_key,
)
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import webhook_deliveries, webhooks
from relate_mailstore.webhook_rules import LEASE_SECONDS, Settled
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    WebhookReply,
    WebhookStatistics,
)

_PENDING: ColumnElement[str] = literal_column("'pending'")  # a constant, as the condition of the index has it
_NOW: BindParameter[float] = bindparam("now", type_=Double())

NEXT_DUE = (
    select(webhooks.c.due)
    .where(webhooks.c.due.is_not(None), webhooks.c.enabled == true())
    .order_by(webhooks.c.due)
    .limit(1)
)
"""When the first webhook is due."""
_DUE = (
    select(webhooks)
    .where(webhooks.c.due <= _NOW, webhooks.c.enabled == true())
    .order_by(webhooks.c.due)
    .limit(bindparam("most", type_=Integer()))
    .with_for_update(skip_locked=True)
)
_FIRST = (
    select(webhook_deliveries)
    .where(webhook_deliveries.c.webhook_id == bindparam("of_webhook"), webhook_deliveries.c.state == _PENDING)
    .order_by(webhook_deliveries.c.number)
    .limit(1)
)
_SET_DUE = update(webhooks).where(webhooks.c.id == bindparam("of_webhook")).values(due=bindparam("new_due"))
_LOCK_LEASED = (
    select(webhooks.c.id)
    .where(webhooks.c.id == bindparam("of_webhook"), webhooks.c.due == bindparam("lease", type_=Double()))
    .with_for_update()
)
_SET_RESULT = (
    update(webhook_deliveries)
    .where(*OF_WEBHOOK, webhook_deliveries.c.id == bindparam("of_delivery"))
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        attempted=bindparam("new_attempted"),
        status=bindparam("new_status"),
        error=bindparam("new_error"),
    )
)
_DISABLE = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("of_webhook"))
    .values(enabled=False, disabled=bindparam("new_disabled"), due=null())
)
TRIM = (
    delete(webhook_deliveries)
    .where(webhook_deliveries.c.created < bindparam("before", type_=Double()))
    .returning(webhook_deliveries.c.number)
)
_REMOVE = (
    REMOVE_DELIVERIES,
    delete(webhooks).where(webhooks.c.id == bindparam("of_webhook")),
)
_OLDEST = (
    select(webhook_deliveries.c.created)
    .where(webhook_deliveries.c.webhook_id == webhooks.c.id, webhook_deliveries.c.state == _PENDING)
    .order_by(webhook_deliveries.c.number)
    .limit(1)
    .scalar_subquery()
)
_IS_PUSH = IS_PUSH.label("is_push")
_IS_ENABLED = webhooks.c.enabled == true()
STATISTICS = select(
    _IS_PUSH,
    func.count().filter(_IS_ENABLED).label("enabled"),
    func.count().filter(webhooks.c.disabled != "").label("disabled"),
    func.min(_OLDEST).filter(_IS_ENABLED, webhooks.c.due.is_not(None)).label("oldest"),
    func.min(webhooks.c.due).filter(_IS_ENABLED).label("first_due"),
).group_by(_IS_PUSH)


def claim(connection: Connection, limit: int, now: float) -> Sequence[ClaimedWebhook]:
    """See `Webhooks.claim`."""
    claimed, due, lease = list[ClaimedWebhook](), list[dict[str, object]](), now + LEASE_SECONDS
    for row in run(connection, _DUE, {"now": now, "most": limit}):
        first = run(connection, _FIRST, {"of_webhook": row.id})
        due.append({"of_webhook": row.id, "new_due": lease if first else None})
        claimed += [ClaimedWebhook(parse_webhook(row), parse_delivery(each), lease) for each in first]
    if due:
        run_many(connection, _SET_DUE, due)
    return claimed


def settle(connection: Connection, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled, now: float) -> bool:
    """See `Webhooks.settle`."""
    webhook, delivery, lease = claimed
    if not run(connection, _LOCK_LEASED, {"of_webhook": webhook.id, "lease": lease}):
        return False
    key = row_key(webhook.account_id, webhook.id)
    result = {
        **key,
        "of_delivery": delivery.id,
        "new_state": settled.delivery.value,
        "new_attempts": delivery.attempts + 1,
        "new_attempted": now,
        "new_status": reply.status,
        "new_error": storable(reply.error),
    }
    run_many(connection, _SET_RESULT, [result])
    if settled.disabled and webhook.is_push:
        for statement in _REMOVE:
            run_many(connection, statement, [key])
    elif settled.disabled:
        run_many(connection, _DISABLE, [{"of_webhook": webhook.id, "new_disabled": settled.disabled.value}])
    else:  # if nothing is pending, the next claim finds that out
        run_many(connection, _SET_DUE, [{"of_webhook": webhook.id, "new_due": now + settled.pause}])
    return True


def parse_statistics(rows: Sequence[Any]) -> tuple[WebhookStatistics, WebhookStatistics]:
    """Parse the rows of `STATISTICS`: the numbers of webhooks, and of push subscriptions."""
    found = {bool(row.is_push): WebhookStatistics(row.enabled, row.disabled, row.oldest, row.first_due) for row in rows}
    return found.get(False, WebhookStatistics()), found.get(True, WebhookStatistics())
