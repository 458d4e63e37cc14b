"""Rows of the queue: their schedule, their removal, and what operators see of them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Double, bindparam, delete, select, update

from relate_mailstore.event_types import Event
from relate_mailstore.queue_rules import Schedule, told
from relate_mailstore.queue_types import FINAL_STATES, QueuedRecipient, QueueState, RecipientId
from relate_mailstore.sql.driver.dialects import ids, numbers, one_of
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.tables import blobs, messages, queue_messages, queue_recipients
from relate_mailstore.types import AccountId, MessageId

# The message first, so that of two transactions that finish its last recipients the later one sees that.
_LOCK = (
    select(
        queue_recipients.c.id,
        queue_recipients.c.message_id,
        queue_recipients.c.account_id,
        queue_recipients.c.address,
        queue_recipients.c.domain,
        queue_messages.c.sender,
        queue_messages.c.header_message_id,
        queue_recipients.c.state,
        queue_recipients.c.due,
        queue_recipients.c.requested,
        queue_recipients.c.attempts,
        queue_recipients.c.delay_told,
        queue_messages.c.unfinished,
    )
    .join(queue_messages, queue_messages.c.id == queue_recipients.c.message_id)
    .where(one_of(queue_recipients.c.id, numbers("recipient_ids")))
    .order_by(queue_messages.c.id, queue_recipients.c.id)
    .with_for_update()
)
SET_SCHEDULE = (
    update(queue_recipients)
    .where(queue_recipients.c.id == bindparam("recipient_id"))
    .values(
        state=bindparam("new_state"), due=bindparam("new_due", type_=Double()), requested=bindparam("new_requested")
    )
)
_SET_UNFINISHED = (
    update(queue_messages)
    .where(queue_messages.c.id == bindparam("message_id"))
    .values(unfinished=bindparam("new_unfinished"))
)
_OWNED = select(messages.c.id).where(one_of(messages.c.id, ids("message_ids")))
_REMOVE_RECIPIENTS = delete(queue_recipients).where(one_of(queue_recipients.c.message_id, ids("message_ids")))
_REMOVE_MESSAGES = delete(queue_messages).where(one_of(queue_messages.c.id, ids("message_ids")))
_REMOVE_BLOBS = delete(blobs).where(one_of(blobs.c.id, ids("message_ids")))
LISTED = (
    queue_recipients.c.id,
    queue_recipients.c.message_id,
    queue_recipients.c.account_id,
    queue_messages.c.sender,
    queue_recipients.c.address,
    queue_recipients.c.domain,
    queue_recipients.c.state,
    queue_recipients.c.requested,
    queue_messages.c.size,
    queue_messages.c.header_message_id,
    queue_messages.c.origin,
    queue_recipients.c.arrived,
    queue_recipients.c.due,
    queue_recipients.c.attempts,
    queue_recipients.c.reply,
    queue_recipients.c.status,
    queue_recipients.c.trace,
)
"""The columns of `parse_recipient`, which are the fields of `QueuedRecipient` in their order."""


def lock_recipients(connection: Connection, recipient_ids: Iterable[RecipientId]) -> list[Any]:
    """The rows of recipients that exist, in the order of their messages. Locks them and their messages."""
    return run(connection, _LOCK, {"recipient_ids": list(recipient_ids)})


def schedule_of(row: Any) -> Schedule:
    """The schedule in a row of `lock_recipients`."""
    return Schedule(QueueState(row.state), row.due, _parse_requested(row.requested))


def events_of(changed: Iterable[tuple[Any, Schedule]]) -> Sequence[Event]:
    """What the event log tells of operators' changes of locked recipients."""
    return [
        Event(
            name,
            account_id=AccountId(row.account_id),
            message_id=MessageId(row.message_id),
            header_message_id=row.header_message_id,
            sender=row.sender,
            recipient=row.address,
        )
        for row, after in changed
        if (name := told(schedule_of(row), after))
    ]


def schedule_row(recipient_id: RecipientId, schedule: Schedule) -> dict[str, object]:
    """The parameters of SET_SCHEDULE."""
    return {
        "recipient_id": recipient_id,
        "new_state": schedule.state.value,
        "new_due": schedule.due,
        "new_requested": "" if schedule.requested is None else schedule.requested.value,
    }


def finish_messages(connection: Connection, changed: Iterable[tuple[Any, Schedule]]) -> Collection[MessageId]:
    """Count the locked recipients that a change finishes. Returns the messages that it finishes, which are removed.

    Of a message of which some recipients remain, the finished ones remain too, so that an operator sees all of them.
    """
    unfinished: dict[MessageId, int] = {}
    for row, schedule in changed:
        if schedule.state in FINAL_STATES:
            unfinished[row.message_id] = unfinished.get(row.message_id, row.unfinished) - 1
    counts = [{"message_id": one, "new_unfinished": count} for one, count in unfinished.items() if count]
    if counts:
        run_many(connection, _SET_UNFINISHED, counts)
    finished = [one for one, count in unfinished.items() if not count]
    if finished:
        _remove(connection, finished)
    return finished


def _remove(connection: Connection, message_ids: Collection[MessageId]) -> None:
    """Remove messages, their recipients, and the blobs that no account owns."""
    parameters = {"message_ids": message_ids}
    run(connection, _REMOVE_RECIPIENTS, parameters)
    run(connection, _REMOVE_MESSAGES, parameters)
    owned = {row.id for row in run(connection, _OWNED, parameters)}
    if orphans := [one for one in message_ids if one not in owned]:
        run(connection, _REMOVE_BLOBS, {"message_ids": orphans})


def parse_recipient(row: Any) -> QueuedRecipient:
    """Parse a row of LISTED."""
    recipient_id, message_id, account_id, sender, address, domain, state, requested, *others = row
    return QueuedRecipient(
        RecipientId(recipient_id),
        MessageId(message_id),
        AccountId(account_id),
        sender,
        address,
        domain,
        QueueState(state),
        _parse_requested(requested),
        *others,
    )


def _parse_requested(text: str) -> QueueState | None:
    return QueueState(text) if text else None
