"""The rows of the queue that a batch of deliveries inserts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Double, bindparam, column, func, insert, literal, select
from sqlalchemy.types import BigInteger, Text, TypeEngine, Uuid

from relate_mailstore.queue_types import QueueState
from relate_mailstore.sql.driver.dialects import POSTGRESQL, ListOf
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.due_changes import NOTIFY_QUEUE
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import queue_messages, queue_recipients
from relate_mailstore.types import Delivery, MessageId

Row = dict[str, Any]

# What differs between new recipients; the other columns have the same value in all of them.
_GIVEN: Mapping[str, TypeEngine[Any]] = {
    "account_id": BigInteger(),
    "message_id": Uuid(),
    "address": Text(),
    "domain": Text(),
    "notify": Text(),
    "orcpt": Text(),
    "arrived": Double(),
    "state": Text(),
    "due": Double(),
    "reply": Text(),
}
_SAME: Mapping[str, Any] = {
    "attempts": 0,
    "runner": "",
    "requested": "",
    "delay_told": False,
    "status": "",
    "trace": "",
}

_ADD_MESSAGES = insert(queue_messages)
_ADD_RECIPIENTS = insert(queue_recipients).values({name: bindparam(name) for name in _GIVEN} | dict(_SAME))
_NEW = (
    func.unnest(*(bindparam(name, type_=ListOf(kind)) for name, kind in _GIVEN.items()))
    .table_valued(*(column(name, kind) for name, kind in _GIVEN.items()))
    .render_derived(name="new")
)
# With the notice in the same statement, which costs no round trip of its own.
_ADD_AND_ANNOUNCE = select(NOTIFY_QUEUE).add_cte(
    insert(queue_recipients)
    .from_select([*_GIVEN, *_SAME], select(*(_NEW.c[name] for name in _GIVEN), *map(literal, _SAME.values())))
    .cte("added")
)


class QueueRows(NamedTuple):
    """The rows of `queue_messages`, and of their recipients."""

    messages: list[Row]
    recipients: list[Row]


def add_outgoing(rows: QueueRows, message_id: MessageId, delivery: Delivery, now: float) -> int:
    """Add the rows of a delivery that arrives `now`, in seconds since the epoch; the number of recipients elsewhere."""
    outgoing = delivery.outgoing
    if outgoing is None or not outgoing.recipients:
        return 0
    rows.messages.append(
        {
            "id": message_id,
            "account_id": outgoing.account_id,
            "sender": storable(outgoing.sender),
            "ret": storable(outgoing.ret),
            "envid": storable(outgoing.envid),
            "size": len(delivery.raw),
            "is_8bit": outgoing.is_8bit,
            "is_utf8": outgoing.is_utf8,
            "header_message_id": storable(outgoing.header_message_id),
            "origin": delivery.origin,
            "unfinished": len(outgoing.recipients),
        }
    )
    state = QueueState.HELD if outgoing.is_held else QueueState.QUEUED
    rows.recipients.extend(
        {
            "account_id": outgoing.account_id,
            "message_id": message_id,
            "address": storable(to.address),
            "domain": storable(to.domain),
            "notify": storable(to.notify),
            "orcpt": storable(to.orcpt),
            "arrived": now,
            "state": state.value,
            "due": None if outgoing.is_held else outgoing.due or now,
            "reply": "",
        }
        for to in outgoing.recipients
    )
    return len(outgoing.recipients)


def hold(rows: QueueRows, replies: Mapping[MessageId, str]) -> None:
    """Hold the recipients of messages, each with the reply that says why."""
    for row in rows.recipients:
        if reply := replies.get(row["message_id"]):
            row.update(state=QueueState.HELD.value, due=None, reply=reply)


def store_outgoing(connection: Connection, rows: QueueRows) -> None:
    """Insert the rows and announce them, with two statements."""
    run_many(connection, _ADD_MESSAGES, rows.messages)
    if connection.dialect.name == POSTGRESQL:
        run(connection, _ADD_AND_ANNOUNCE, _columns(rows.recipients))
    else:
        run_many(connection, _ADD_RECIPIENTS, rows.recipients)


def _columns(rows: Sequence[Row]) -> Row:
    return {name: [row[name] for row in rows] for name in _GIVEN}
