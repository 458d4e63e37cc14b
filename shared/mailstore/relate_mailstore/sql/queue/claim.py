"""The transaction that claims recipients: one UPDATE, which takes the locks, and one SELECT of their messages.

On PostgreSQL several runners claim at the same time: each takes rows that no other has locked (SKIP LOCKED). A claim
waits for no lock of a recipient, so it cannot take part in a deadlock, in whatever order it takes rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    Double,
    Integer,
    Select,
    Text,
    Update,
    bindparam,
    func,
    literal,
    null,
    select,
    true,
    update,
)

from relate_mailstore.queue_rules import MAX_AHEAD_SECONDS
from relate_mailstore.queue_types import Claimed, QueueState, RecipientId
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, ids, number_of, one_of
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.queue.due import destinations
from relate_mailstore.sql.queue.runners import BEAT
from relate_mailstore.sql.queue.suspensions import find_suspended, take_probes
from relate_mailstore.sql.schema.tables import queue_messages, queue_recipients
from relate_mailstore.types import AccountId, MessageId

_NOW: BindParameter[float] = bindparam("now", type_=Double())
_PER_DESTINATION: BindParameter[int] = bindparam("per_destination", type_=Integer())
_ALL = destinations().subquery("all_destinations")
_ALLOWED = _PER_DESTINATION - func.coalesce(number_of(bindparam("busy", type_=Text()), _ALL.c.domain), 0)
# Ordered by the time of the first, so that the destination that has waited longest is served first.
_OPEN = (
    select(_ALL.c.domain, _ALL.c.first_due, _ALLOWED.label("allowed"))
    .where(_ALL.c.first_due <= _NOW, _ALLOWED > 0)
    .order_by(_ALL.c.first_due)
    .subquery("destinations")
)


def _due() -> Select[Any]:
    """The recipients of a destination that are due, from the one that has waited longest."""
    return (
        select(queue_recipients.c.id)
        .where(queue_recipients.c.domain == _OPEN.c.domain, queue_recipients.c.due <= _NOW)
        .order_by(queue_recipients.c.due)
    )


def _claim(chosen: Any) -> Update:
    return (
        update(queue_recipients)
        .where(queue_recipients.c.id.in_(chosen))
        .values(
            state=literal(QueueState.LEASED.value),
            due=null(),
            attempts=queue_recipients.c.attempts + 1,
            runner=bindparam("new_runner"),
        )
        .returning(*_RETURNED)
    )


_RETURNED = (
    queue_recipients.c.id,
    queue_recipients.c.message_id,
    queue_recipients.c.account_id,
    queue_recipients.c.address,
    queue_recipients.c.domain,
    queue_recipients.c.notify,
    queue_recipients.c.orcpt,
    queue_recipients.c.arrived,
    queue_recipients.c.attempts,
    queue_recipients.c.reply,
    queue_recipients.c.status,
    queue_recipients.c.trace,
    queue_recipients.c.delay_told,
)


def _claim_on_postgresql() -> Update:
    """LIMIT ends the loop over the destinations, so that no more rows are locked than claimed."""
    due = _due().limit(_OPEN.c.allowed).with_for_update(skip_locked=True).lateral("due")
    chosen = select(due.c.id).select_from(_OPEN.join(due, true())).limit(bindparam("limit")).cte("chosen")
    return _claim(select(chosen.c.id)).add_cte(BEAT[POSTGRESQL].cte("beat"))


def _claim_on_sqlite() -> Update:
    """A window instead of LATERAL, over at most `per_destination` recipients of each destination."""
    place = func.row_number().over(partition_by=_OPEN.c.domain, order_by=queue_recipients.c.due)
    first = _due().limit(_PER_DESTINATION).correlate(_OPEN)
    numbered = (
        select(queue_recipients.c.id, _OPEN.c.first_due, _OPEN.c.allowed, place.label("place"))
        .select_from(_OPEN.join(queue_recipients, queue_recipients.c.id.in_(first)))
        .subquery("numbered")
    )
    chosen = select(numbered.c.id).where(numbered.c.place <= numbered.c.allowed)
    return _claim(chosen.order_by(numbered.c.first_due).limit(bindparam("limit")))


_CLAIM = {POSTGRESQL: _claim_on_postgresql(), SQLITE: _claim_on_sqlite()}
_MESSAGES = select(queue_messages).where(one_of(queue_messages.c.id, ids("message_ids")))
_PULL_BACK = (
    update(queue_recipients)
    .where(queue_recipients.c.due > bindparam("latest"))
    .values(due=bindparam("new_due"))
    .returning(queue_recipients.c.id)
)


def claim(
    connection: Connection,
    *,
    runner: str,
    limit: int,
    per_destination: int,
    busy: Mapping[str, int],
    now: float,
) -> Sequence[Claimed]:
    """Lease recipients that are due `now`, in seconds since the epoch, to a runner."""
    parameters = {
        "new_runner": runner,
        "limit": limit,
        "per_destination": per_destination,
        "busy": json.dumps(dict(busy)),
        "now": now,
    }
    if connection.dialect.name == SQLITE:  # which has no INSERT within another statement
        run(connection, BEAT[SQLITE], {"new_runner": runner})
    rows = run(connection, _CLAIM[connection.dialect.name], parameters)
    rows.sort(key=lambda row: row.id)
    if not rows:
        return ()
    found = run(connection, _MESSAGES, {"message_ids": {row.message_id for row in rows}})
    by_id = {row.id: row for row in found}
    suspensions = _suspensions(connection, rows, now)
    return [_parse(row, by_id[row.message_id], suspensions.get(row.id, _REACHABLE)) for row in rows]


class _Suspension(NamedTuple):
    """Why a recipient is to be deferred, empty for the message that probes its destination."""

    reply: str
    is_probe: bool


_REACHABLE = _Suspension("", False)
_PROBE = _Suspension("", True)


def _suspensions(connection: Connection, rows: Sequence[Any], now: float) -> Mapping[RecipientId, _Suspension]:
    """Of recipients of suspended destinations. The first message is the probe, if one is due."""
    suspended = find_suspended(connection, {row.domain for row in rows})
    if not suspended:
        return {}
    replies = {row.domain: _Suspension(row.reply, False) for row in suspended}
    probed = take_probes(connection, suspended, now)
    probes: dict[str, MessageId] = {}
    for row in rows:
        if row.domain in probed:
            probes.setdefault(row.domain, row.message_id)
    return {
        row.id: _PROBE if probes.get(row.domain) == row.message_id else replies[row.domain]
        for row in rows
        if row.domain in replies
    }


def pull_back(connection: Connection, now: float) -> int:
    """Make recipients due now that a clock, which was set back since, scheduled too far ahead; how many."""
    return len(run(connection, _PULL_BACK, {"latest": now + MAX_AHEAD_SECONDS, "new_due": now}))


def _parse(row: Any, message: Any, suspension: _Suspension) -> Claimed:
    return Claimed(
        RecipientId(row.id),
        MessageId(row.message_id),
        AccountId(row.account_id),
        message.sender,
        row.address,
        row.domain,
        row.notify,
        row.orcpt,
        message.ret,
        message.envid,
        message.size,
        bool(message.is_8bit),
        bool(message.is_utf8),
        message.header_message_id,
        message.origin,
        row.arrived,
        row.attempts,
        row.reply,
        row.status,
        row.trace,
        bool(row.delay_told),
        *suspension,
    )
