"""`SqlWebhooks`: webhooks and their deliveries, which `webhook_outbox` adds and `webhook_attempts` attempts."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Integer, bindparam, delete, insert, select, update

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.identifiers import generate_message_ids
from relate_mailstore.sql.driver.database import Database, Transact, Work
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.due_changes import WEBHOOK_CHANNEL, DueChanges, announce
from relate_mailstore.sql.events import webhook_attempts
from relate_mailstore.sql.events.webhook_outbox import add_delivery
from relate_mailstore.sql.events.webhook_rows import (
    ADVANCE,
    BY_KEY,
    IS_WEBHOOK,
    NEW_ROW,
    OF_WEBHOOK,
    REMOVE_DELIVERIES,
    all_of_account,
    new_row,
    parse_delivery,
    parse_webhook,
    row_key,
    settings_columns,
)
from relate_mailstore.sql.schema.tables import webhook_deliveries, webhooks
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import (
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
    WebhookId,
    WebhookReply,
    WebhookState,
    WebhookStatistics,
)

T = TypeVar("T")

_NO_NUMBER = 2**63 - 1
_IS_OWN = (*BY_KEY, IS_WEBHOOK)
_ALL = all_of_account(IS_WEBHOOK)
_GET = select(webhooks).where(*_IS_OWN)
_LOCK = _GET.with_for_update()
_CREATE = insert(webhooks).values(NEW_ROW).returning(*webhooks.c)
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
_FORGET = (
    delete(webhook_deliveries).where(webhook_deliveries.c.account_id == bindparam("account_id")),
    delete(webhooks).where(webhooks.c.account_id == bindparam("account_id")),
)
_PAGE = (
    select(webhook_deliveries)
    .where(*OF_WEBHOOK, webhook_deliveries.c.number < bindparam("before"))
    .order_by(webhook_deliveries.c.number.desc())
    .limit(bindparam("most", type_=Integer()))
)
_REPLAY = (
    update(webhook_deliveries)
    .where(*OF_WEBHOOK, webhook_deliveries.c.id == bindparam("of_delivery"))
    .values(number=bindparam("new_number"), state=WebhookState.PENDING.value, attempts=0)
    .returning(*webhook_deliveries.c)
)


class SqlWebhooks:
    """`Webhooks` on a database. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, changes: DueChanges, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._changes = changes
        self._clock = clock
        self._new_ids = generate_message_ids()

    async def create(self, account_id: AccountId, settings: NewWebhook, secret: str) -> Webhook:
        """Create a webhook."""
        row = new_row(account_id, settings, secret, self._clock())
        return await self._transact(partial(_create, row=row))

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The webhooks of an account."""
        return [*map(parse_webhook, await self._database.fetch(_ALL, {"account_id": account_id}))]

    async def get(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook:
        """See `Webhooks.get`."""
        return parse_webhook(_one(await self._database.fetch(_GET, row_key(account_id, webhook_id))))

    async def update(self, account_id: AccountId, webhook_id: WebhookId, settings: NewWebhook) -> Webhook:
        """Change a webhook."""
        changed = {f"new_{name}": value for name, value in settings_columns(settings).items()}
        due = self._clock() if settings.enabled else None
        key = row_key(account_id, webhook_id)
        row = await self._transact_due(partial(_set, parameters={**key, **changed, "new_due": due}))
        return parse_webhook(row)

    async def rotate(self, account_id: AccountId, webhook_id: WebhookId, secret: str) -> Webhook:
        """Give a webhook another secret."""
        until = self._clock() + ROTATION_SECONDS
        parameters = {**row_key(account_id, webhook_id), "new_secret": secret, "until": until}
        return parse_webhook(_one(await self._transact(partial(run, statement=_ROTATE, parameters=parameters))))

    async def remove(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Remove a webhook."""
        await self._transact(partial(_remove, key=row_key(account_id, webhook_id)))

    async def forget(self, account_id: AccountId) -> None:
        """Remove all webhooks of an account."""
        await self._transact(partial(_forget, account_id=account_id))

    async def test(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookDelivery:
        """Add a test."""
        now = self._clock()
        delivery = make_test(next(self._new_ids), now)
        await self._transact_due(partial(_test, key=row_key(account_id, webhook_id), delivery=delivery, now=now))
        return delivery

    async def deliveries(
        self, account_id: AccountId, webhook_id: WebhookId, limit: int, before: int | None = None
    ) -> Sequence[tuple[int, WebhookDelivery]]:
        """A page of deliveries."""
        await self.get(account_id, webhook_id)
        page = {"before": _NO_NUMBER if before is None else before, "most": limit}
        rows = await self._database.fetch(_PAGE, {**row_key(account_id, webhook_id), **page})
        return [(int(row.number), parse_delivery(row)) for row in rows]

    async def replay(self, account_id: AccountId, webhook_id: WebhookId, delivery_id: UUID) -> WebhookDelivery:
        """See `Webhooks.replay`."""
        key = {**row_key(account_id, webhook_id), "of_delivery": delivery_id}
        return await self._transact_due(partial(_replay, key=key, now=self._clock()))

    async def claim(self, limit: int) -> Sequence[ClaimedWebhook]:
        """Lease webhooks that are due; a read, and no transaction, if none is."""
        now, due = self._clock(), await self.next_due()
        if due is None or due > now:
            return []
        return await self._transact(partial(webhook_attempts.claim, limit=limit, now=now))

    async def settle(self, claimed: ClaimedWebhook, reply: WebhookReply, settled: Settled) -> bool:
        """Store the result of an attempt."""
        work = partial(webhook_attempts.settle, claimed=claimed, reply=reply, settled=settled, now=self._clock())
        return await self._transact(work)

    async def next_due(self) -> float | None:
        """When the first webhook is due."""
        for row in await self._database.fetch(webhook_attempts.NEXT_DUE, {}):
            return float(row.due)
        return None

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over the changes of what is due."""
        return self._changes.subscribe()

    async def statistics(self) -> tuple[WebhookStatistics, WebhookStatistics]:
        """See `Webhooks.statistics`."""
        return webhook_attempts.parse_statistics(await self._database.fetch(webhook_attempts.STATISTICS, {}))

    async def trim(self) -> int:
        """Remove the deliveries that are older than RETENTION_SECONDS; how many."""
        before = self._clock() - RETENTION_SECONDS
        work = partial(run, statement=webhook_attempts.TRIM, parameters={"before": before})
        return len(await self._transact(work, durable=False))

    async def _transact_due(self, work: Work[T]) -> T:
        """Run a transaction that changes what is due."""
        result = await self._transact(work)
        self._changes.wake()
        return result


def _create(connection: Connection, row: dict[str, object]) -> Webhook:
    if len(run(connection, _ALL, {"account_id": row["new_account_id"]})) >= MAX_WEBHOOKS_ITEMS:
        raise TooManyWebhooks(f"{MAX_WEBHOOKS_ITEMS} webhooks")
    return parse_webhook(_one(run(connection, _CREATE, row)))


def _set(connection: Connection, parameters: dict[str, object]) -> Any:
    announce(connection, WEBHOOK_CHANNEL)
    return _one(run(connection, _SET, parameters))


def _remove(connection: Connection, key: dict[str, object]) -> None:
    _one(run(connection, _REMOVE, key))
    run(connection, REMOVE_DELIVERIES, key)


def _forget(connection: Connection, account_id: AccountId) -> None:
    for statement in _FORGET:
        run(connection, statement, {"account_id": account_id})


def _test(connection: Connection, key: dict[str, object], delivery: WebhookDelivery, now: float) -> None:
    add_delivery(connection, _one(run(connection, _LOCK, key)), delivery, now)


def _replay(connection: Connection, key: dict[str, object], now: float) -> WebhookDelivery:
    webhook = _one(run(connection, _LOCK, key))
    number = int(webhook.last_number) + 1
    replayed = parse_delivery(_one(run(connection, _REPLAY, {**key, "new_number": number})))
    run_many(connection, ADVANCE, [{"of_webhook": webhook.id, "new_number": number, "now": now}])
    announce(connection, WEBHOOK_CHANNEL)
    return replayed


def _one(rows: Sequence[Any]) -> Any:
    if not rows:
        raise WebhookNotFound("there is no such webhook or delivery")
    return rows[0]
