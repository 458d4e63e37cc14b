"""`SqlWebhooks`: webhooks and their deliveries. What adds deliveries to them is `webhook_outbox`.

A webhook is leased by its `due`, which a claim moves to the end of the lease: on PostgreSQL several processes claim,
and each takes rows that no other has locked.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    Integer,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.events.webhook_outbox import add_delivery, parse_webhook
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import webhook_deliveries, webhooks
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import (
    LEASE_SECONDS,
    MAX_WEBHOOKS_ITEMS,
    RETENTION_SECONDS,
    ROTATION_SECONDS,
    Settled,
    make_test,
)
from relate_mailstore.webhook_types import (
    ClaimedWebhook,
    DisabledReason,
    NewWebhook,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookId,
    WebhookReply,
    WebhookState,
)

_NO_NUMBER = 2**63 - 1
_PENDING: ColumnElement[str] = literal_column("'pending'")  # a constant, as the condition of the index has it
_NOW: BindParameter[float] = bindparam("now", type_=Double())
_IS_OWN = (webhooks.c.account_id == bindparam("of_account"), webhooks.c.id == bindparam("of_webhook"))
_OF_WEBHOOK = (
    webhook_deliveries.c.account_id == bindparam("of_account"),
    webhook_deliveries.c.webhook_id == bindparam("of_webhook"),
)


_ALL = select(webhooks).where(webhooks.c.account_id == bindparam("account_id")).order_by(webhooks.c.id)
_GET = select(webhooks).where(*_IS_OWN)
_LOCK = _GET.with_for_update()
_CREATE = (  # without the id, which the database assigns
    insert(webhooks)
    .values({column: bindparam(f"new_{column.name}") for column in webhooks.c if column.name != "id"})
    .returning(*webhooks.c)
)
_SET = (
    update(webhooks)
    .where(*_IS_OWN)
    .values(
        url=bindparam("new_url"),
        events=bindparam("new_events"),
        description=bindparam("new_description"),
        enabled=bindparam("new_enabled"),
        disabled=DisabledReason.NONE.value,
        due=bindparam("new_due"),
    )
    .returning(*webhooks.c)
)
_ROTATE = (
    update(webhooks)
    .where(*_IS_OWN)
    .values(previous_secret=webhooks.c.secret, secret=bindparam("new_secret"), previous_until=bindparam("until"))
    .returning(*webhooks.c)
)
_REMOVE = delete(webhooks).where(*_IS_OWN).returning(webhooks.c.id)
_REMOVE_DELIVERIES = delete(webhook_deliveries).where(*_OF_WEBHOOK)
_FORGET = (
    delete(webhook_deliveries).where(webhook_deliveries.c.account_id == bindparam("account_id")),
    delete(webhooks).where(webhooks.c.account_id == bindparam("account_id")),
)
_PAGE = (
    select(webhook_deliveries)
    .where(*_OF_WEBHOOK, webhook_deliveries.c.number < bindparam("before"))
    .order_by(webhook_deliveries.c.number.desc())
    .limit(bindparam("most", type_=Integer()))
)
_REPLAY = (
    update(webhook_deliveries)
    .where(*_OF_WEBHOOK, webhook_deliveries.c.id == bindparam("of_delivery"))
    .values(number=bindparam("new_number"), state=WebhookState.PENDING.value, attempts=0)
    .returning(*webhook_deliveries.c)
)
_MAKE_DUE = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("of_webhook"))
    .values(
        last_number=bindparam("new_number"),
        due=func.coalesce(webhooks.c.due, bindparam("now", type_=Double())),
    )
)
_ANY_DUE = select(webhooks.c.id).where(webhooks.c.due <= _NOW, webhooks.c.enabled == true()).limit(1)
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
    .where(*_OF_WEBHOOK, webhook_deliveries.c.id == bindparam("of_delivery"))
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
_TRIM = (
    delete(webhook_deliveries)
    .where(webhook_deliveries.c.created < bindparam("before", type_=Double()))
    .returning(webhook_deliveries.c.number)
)


class SqlWebhooks:
    """`Webhooks` on a database. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._clock = clock
        self._new_ids = generate_message_ids()

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook."""
        row = {
            "account_id": account_id,
            **_columns(settings),
            "disabled": "",
            "created": self._clock(),
            "secret": secret,
            "previous_secret": "",
            "previous_until": 0.0,
            "last_number": 0,
            "due": None,
        }
        return await self._transact(partial(_create, row=row))

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account."""
        return [*map(parse_webhook, await self._database.fetch(_ALL, {"account_id": account_id}))]

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """See `Webhooks.get`."""
        return parse_webhook(_one(await self._database.fetch(_GET, _key(account_id, webhook_id))))

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook."""
        changed = {f"new_{name}": value for name, value in _columns(settings).items()}
        due = self._clock() if settings.enabled else None
        return await self._change(_SET, {**_key(account_id, webhook_id), **changed, "new_due": due})

    async def rotate(self, account_id: AccountId, webhook_id: WebhookId, secret: str) -> Webhook:
        """Give a webhook another secret."""
        until = self._clock() + ROTATION_SECONDS
        return await self._change(_ROTATE, {**_key(account_id, webhook_id), "new_secret": secret, "until": until})

    async def remove(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Remove a webhook."""
        await self._transact(partial(_remove, key=_key(account_id, webhook_id)))

    async def forget(self, account_id: AccountId) -> None:
        """Remove all webhooks of an account."""
        await self._transact(partial(_forget, account_id=account_id))

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a test."""
        now = self._clock()
        delivery = make_test(next(self._new_ids), now)
        await self._transact(partial(_test, key=_key(account_id, webhook_id), delivery=delivery, now=now))
        return delivery

    async def deliveries(
        self, account_id: AccountId, webhook_id: WebhookId, limit: int, before: int | None = None
    ) -> Sequence[tuple[int, WebhookDelivery]]:
        """A page of deliveries."""
        await self.get(account_id, webhook_id)
        page = {"before": _NO_NUMBER if before is None else before, "most": limit}
        rows = await self._database.fetch(_PAGE, {**_key(account_id, webhook_id), **page})
        return [(int(row.number), _parse_delivery(row)) for row in rows]

    async def replay(self, account_id: AccountId, webhook_id: WebhookId, delivery_id: UUID) -> WebhookDelivery:
        """See `Webhooks.replay`."""
        key = {**_key(account_id, webhook_id), "of_delivery": delivery_id}
        return await self._transact(partial(_replay, key=key, now=self._clock()))

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due; a read, and no transaction, if none is."""
        now = self._clock()
        if not await self._database.fetch(_ANY_DUE, {"now": now}):
            return []
        return await self._transact(partial(_claim, limit=limit, now=now))

    async def settle(self, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled) -> bool:
        """Store the result of an attempt."""
        return await self._transact(partial(_settle, claimed=claimed, reply=reply, settled=settled, now=self._clock()))

    async def trim(self) -> int:
        """Remove the deliveries that are older than RETENTION_SECONDS; how many."""
        before = self._clock() - RETENTION_SECONDS
        return len(await self._transact(partial(run, statement=_TRIM, parameters={"before": before}), durable=False))

    async def _change(self, statement: Any, parameters: dict[str, object]) -> Webhook:
        rows = await self._transact(partial(run, statement=statement, parameters=parameters))
        return parse_webhook(_one(rows))


def _create(connection: Connection, row: dict[str, object]) -> Webhook:
    if len(run(connection, _ALL, {"account_id": row["account_id"]})) >= MAX_WEBHOOKS_ITEMS:
        raise TooManyWebhooks(f"{MAX_WEBHOOKS_ITEMS} webhooks")
    return parse_webhook(_one(run(connection, _CREATE, {f"new_{name}": value for name, value in row.items()})))


def _remove(connection: Connection, key: dict[str, object]) -> None:
    _one(run(connection, _REMOVE, key))
    run(connection, _REMOVE_DELIVERIES, key)


def _forget(connection: Connection, account_id: AccountId) -> None:
    for statement in _FORGET:
        run(connection, statement, {"account_id": account_id})


def _test(connection: Connection, key: dict[str, object], delivery: WebhookDelivery, now: float) -> None:
    add_delivery(connection, _one(run(connection, _LOCK, key)), delivery, now)


def _replay(connection: Connection, key: dict[str, object], now: float) -> WebhookDelivery:
    webhook = _one(run(connection, _LOCK, key))
    number = int(webhook.last_number) + 1
    replayed = _parse_delivery(_one(run(connection, _REPLAY, {**key, "new_number": number})))
    run_many(connection, _MAKE_DUE, [{"of_webhook": webhook.id, "new_number": number, "now": now}])
    return replayed


def _claim(connection: Connection, limit: int, now: float) -> Sequence[ClaimedWebhook]:
    claimed, due, lease = list[ClaimedWebhook](), list[dict[str, object]](), now + LEASE_SECONDS
    for row in run(connection, _DUE, {"now": now, "most": limit}):
        first = run(connection, _FIRST, {"of_webhook": row.id})
        due.append({"of_webhook": row.id, "new_due": lease if first else None})
        claimed += [ClaimedWebhook(parse_webhook(row), _parse_delivery(each), lease) for each in first]
    if due:
        run_many(connection, _SET_DUE, due)
    return claimed


def _settle(connection: Connection, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled, now: float) -> bool:
    webhook, delivery, lease = claimed
    if not run(connection, _LOCK_LEASED, {"of_webhook": webhook.id, "lease": lease}):
        return False
    result = {
        **_key(webhook.account_id, webhook.id),
        "of_delivery": delivery.id,
        "new_state": settled.delivery.value,
        "new_attempts": delivery.attempts + 1,
        "new_attempted": now,
        "new_status": reply.status,
        "new_error": storable(reply.error),
    }
    run_many(connection, _SET_RESULT, [result])
    if settled.disabled:
        run_many(connection, _DISABLE, [{"of_webhook": webhook.id, "new_disabled": settled.disabled.value}])
    else:  # if nothing is pending, the next claim finds that out
        run_many(connection, _SET_DUE, [{"of_webhook": webhook.id, "new_due": now + settled.pause}])
    return True


def _key(account_id: AccountId, webhook_id: WebhookId) -> dict[str, object]:
    return {"of_account": account_id, "of_webhook": webhook_id}


def _columns(settings: NewWebhook) -> dict[str, object]:
    return {
        "url": storable(settings.url),
        "events": " ".join(sorted(settings.events)),
        "description": storable(settings.description),
        "enabled": settings.enabled,
    }


def _one(rows: Sequence[Any]) -> Any:
    if not rows:
        raise WebhookNotFound("there is no such webhook or delivery")
    return rows[0]


def _parse_delivery(row: Any) -> WebhookDelivery:
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
