"""`SqlPushSubscriptions`: the rows of `webhooks` that have the keys of a browser, and the key of this server."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from relate_mailstore.errors import TooManyWebhooks, WebhookNotFound
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, insert_once
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.events.webhook_rows import (
    BY_KEY,
    IS_PUSH,
    NEW_ROW,
    REMOVE_DELIVERIES,
    all_of_account,
    new_row,
    parse_webhook,
    row_key,
)
from relate_mailstore.sql.schema.tables import server_keys, webhooks
from relate_mailstore.types import AccountId
from relate_mailstore.webhook_rules import MAX_PUSH_SUBSCRIPTIONS_ITEMS, PUSHED
from relate_mailstore.webhook_types import NewWebhook, PushKeys, Webhook, WebhookId

VAPID = "vapid"  # the name of the key in `server_keys`

_ALL = all_of_account(IS_PUSH)


def _subscribe(insert: Any) -> Executable:
    """The INSERT, of either dialect, that gives a subscription at the same URL the new keys."""
    statement: Executable = (
        insert.values(NEW_ROW)
        .on_conflict_do_update(
            index_elements=["account_id", "url"],
            index_where=IS_PUSH,
            set_={name: insert.excluded[name] for name in ("p256dh", "auth")},
        )
        .returning(*webhooks.c)
    )
    return statement


_SUBSCRIBE = {
    POSTGRESQL: _subscribe(postgresql.insert(webhooks)),
    SQLITE: _subscribe(sqlite.insert(webhooks)),
}
_REMOVE = delete(webhooks).where(*BY_KEY, IS_PUSH).returning(webhooks.c.id)
_KEY = select(server_keys.c.secret).where(server_keys.c.name == bindparam("key_name"))
_ADD_KEY = insert_once(server_keys, "name")


class SqlPushSubscriptions:
    """`PushSubscriptions` on a database. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._clock = clock

    async def subscribe(self, account_id: AccountId, endpoint: str, keys: PushKeys) -> Webhook:
        """Create a subscription, or give it new keys."""
        row = new_row(account_id, NewWebhook(endpoint, PUSHED), "", self._clock(), keys)
        return await self._transact(partial(_store, row=row))

    async def of_account(self, account_id: AccountId) -> Sequence[Webhook]:
        """The subscriptions of an account."""
        return [*map(parse_webhook, await self._database.fetch(_ALL, {"account_id": account_id}))]

    async def remove(self, account_id: AccountId, subscription_id: WebhookId) -> None:
        """Remove a subscription."""
        await self._transact(partial(_remove, key=row_key(account_id, subscription_id)))

    async def server_key(self, new: str) -> str:
        """See `PushSubscriptions.server_key`."""
        for row in await self._database.fetch(_KEY, {"key_name": VAPID}):
            return str(row.secret)
        return await self._transact(partial(_add_key, new=new))


def _store(connection: Connection, row: dict[str, object]) -> Webhook:
    others = [
        each.id for each in run(connection, _ALL, {"account_id": row["new_account_id"]}) if each.url != row["new_url"]
    ]
    if len(others) >= MAX_PUSH_SUBSCRIPTIONS_ITEMS:
        raise TooManyWebhooks(f"{MAX_PUSH_SUBSCRIPTIONS_ITEMS} push subscriptions")
    (stored,) = run(connection, _SUBSCRIBE[connection.dialect.name], row)
    return parse_webhook(stored)


def _remove(connection: Connection, key: dict[str, object]) -> None:
    if not run(connection, _REMOVE, key):
        raise WebhookNotFound("there is no such subscription")
    run(connection, REMOVE_DELIVERIES, key)


def _add_key(connection: Connection, new: str) -> str:
    run_many(connection, _ADD_KEY[connection.dialect.name], [{"name": VAPID, "secret": new}])
    (stored,) = run(connection, _KEY, {"key_name": VAPID})  # another process may have been faster
    return str(stored.secret)
