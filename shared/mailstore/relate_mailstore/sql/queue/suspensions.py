"""Destinations that could not be reached. All runners suspend them, and one runner at a time probes them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Double, Integer, Text, bindparam, delete, exists, func, select, update

from relate_mailstore.queue_rules import DESTINATION_REPLY_STATUS, is_probe_due, probe_pause
from relate_mailstore.queue_types import QueueState, Suspension
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import insert_once, one_of, texts
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.due_changes import QUEUE_CHANNEL, announce
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import queue_destinations, queue_recipients

FORGOTTEN_SECONDS = 86_400.0  # after the last probe was due: no mail has waited for the destination since

_HAS_MAIL = exists().where(
    queue_recipients.c.domain == queue_destinations.c.domain, queue_recipients.c.due.is_not(None)
)
COUNT = select(func.count().label("suspended")).select_from(queue_destinations).where(_HAS_MAIL)
"""The number of suspended destinations for which mail waits."""

_WAITING = (
    select(queue_destinations.c.domain, queue_destinations.c.reply, queue_destinations.c.suspended_until)
    .where(_HAS_MAIL)
    .order_by(queue_destinations.c.domain)
    .limit(bindparam("limit", type_=Integer()))
)
_SUSPEND = insert_once(queue_destinations, "domain")
_FORGET = delete(queue_destinations).where(queue_destinations.c.suspended_until < bindparam("before", type_=Double()))
_FIND = select(queue_destinations).where(one_of(queue_destinations.c.domain, texts("domains")))
_PROBE = (
    update(queue_destinations)
    .where(
        queue_destinations.c.domain == bindparam("probed", type_=Text()),
        queue_destinations.c.probes == bindparam("so_far", type_=Integer()),
    )
    .values(probes=queue_destinations.c.probes + 1, suspended_until=bindparam("until", type_=Double()))
    .returning(queue_destinations.c.domain)
)
_PROBE_NOW = (
    update(queue_destinations)
    .where(one_of(queue_destinations.c.domain, texts("domains")))
    .values(suspended_until=bindparam("now", type_=Double()))
)
_RESUME = (
    delete(queue_destinations)
    .where(queue_destinations.c.domain == bindparam("resumed", type_=Text()))
    .returning(queue_destinations.c.domain)
)
_MAKE_DUE = (
    update(queue_recipients)
    .where(
        queue_recipients.c.domain == bindparam("resumed", type_=Text()),
        queue_recipients.c.state == bindparam("queued", type_=Text()),
        queue_recipients.c.due > bindparam("now", type_=Double()),
        queue_recipients.c.status.startswith(DESTINATION_REPLY_STATUS),
    )
    .values(due=bindparam("now", type_=Double()))
    .returning(queue_recipients.c.id)
)


def suspend(connection: Connection, domain: str, reply: str, now: float) -> None:
    """See `QueueStore.suspend`."""
    row = {"domain": domain, "suspended_until": now + probe_pause(0), "probes": 0, "reply": storable(reply)}
    connection.execute(_SUSPEND[connection.dialect.name], row)
    run(connection, _FORGET, {"before": now - FORGOTTEN_SECONDS})


def resume(connection: Connection, domain: str, now: float) -> Committed[None]:
    """See `QueueStore.resume`."""
    if not run(connection, _RESUME, {"resumed": domain}):
        return Committed(None, ())
    due = run(connection, _MAKE_DUE, {"resumed": domain, "queued": QueueState.QUEUED.value, "now": now})
    if due:
        announce(connection, QUEUE_CHANNEL)
    return Committed(None, (), queue_changed=bool(due))


def probe_now(connection: Connection, domains: Collection[str], now: float) -> None:
    """Make the next probe of those destinations that are suspended due at once."""
    run(connection, _PROBE_NOW, {"domains": domains, "now": now})


async def find_waiting(database: Database, limit: int) -> Sequence[Suspension]:
    """See `QueueStore.suspensions`."""
    rows = await database.fetch(_WAITING, {"limit": limit})
    return [Suspension(row.domain, row.reply, row.suspended_until) for row in rows]


def find_suspended(connection: Connection, domains: Collection[str]) -> Sequence[Any]:
    """The rows of those of the destinations that are suspended."""
    return run(connection, _FIND, {"domains": domains})


def take_probes(connection: Connection, suspended: Sequence[Any], now: float) -> Collection[str]:
    """The destinations that the caller may probe: those whose probe is due, and that no other runner has taken."""
    return {
        each.domain
        for each in suspended
        if is_probe_due(each.suspended_until, now)
        and run(
            connection,
            _PROBE,
            {"probed": each.domain, "so_far": each.probes, "until": now + probe_pause(each.probes + 1)},
        )
    }
