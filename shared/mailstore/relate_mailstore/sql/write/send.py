"""The transaction of a message that an account sends: the delivery, and what changes with it in the account.

It is not in the batch of other deliveries, because it removes and changes entries, too; locks are taken in the same
order as there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from relate_mailstore.errors import MessageNotFound, StoreError, TooManyKeywords
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.sql.deltas import Committed, MailboxDelta
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.mailboxes import lock_by_names
from relate_mailstore.sql.requests import record_held, record_request
from relate_mailstore.sql.schema.rows import parse_entry
from relate_mailstore.sql.suppressions import suppress as store_suppressions
from relate_mailstore.sql.write.deliver import (
    accounts_with_quota,
    hold_excess,
    plan_batch,
    store_plan,
    target_mailboxes,
)
from relate_mailstore.sql.write.entry_rows import READ_ENTRIES, find_entries, key_parameters, write_flags
from relate_mailstore.sql.write.expunge import remove_entries, remove_messages
from relate_mailstore.sql.write.filtering import evaluate, route
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mailstore.types import AccountId, FlagChange, MailboxId, MessageId, Receipt, Sending

Deltas = Mapping[MailboxId, MailboxDelta]


def send(
    connection: Connection, queued: QueuedDelivery, sending: Sending, writer: EventWriter, now: float
) -> Committed[Receipt]:
    """Store a message that is sent `now`, in seconds since the epoch.

    Raises MailboxNotFound, OverQuota, MessageNotFound, RequestRepeated.
    """
    account_id, request = sending.account_id, sending.request
    whole = accounts_with_quota([queued]) | {account_id}
    evaluated = evaluate(connection, [queued])
    locked = lock_by_names(connection, target_mailboxes([queued]) | evaluated.targets, whole)
    (queued,) = route([queued], evaluated, locked)
    if request is not None:
        record_request(connection, account_id, request, queued.message_id, now)
    plan = plan_batch([queued], locked, now)
    if isinstance(plan.results[0], StoreError):
        raise plan.results[0]
    deltas = {delta.mailbox.id: delta for delta in plan.deltas.values()}
    if sending.answered is not None:
        _mark(connection, account_id, sending.answered, sending.change, deltas)
    removed = set() if sending.draft is None else _remove(connection, account_id, sending.draft, deltas)
    hold_excess(connection, plan, now)
    store_plan(connection, plan, now)
    (receipt,) = plan.results
    if isinstance(receipt, StoreError):
        raise receipt
    if request is not None and receipt.excess is not None:
        record_held(connection, account_id, request)
    announced = writer.add(connection, plan.events)
    store_suppressions(connection, plan.suppressions)
    return Committed(receipt, _sender_first(plan.dirty_deltas, account_id), removed, plan.queues, announced=announced)


def _mark(
    connection: Connection, account_id: AccountId, message_id: MessageId, change: FlagChange, deltas: Deltas
) -> None:
    """Change the flags of a message, if it still exists. One that has too many keywords stays as it is."""
    for mailbox_id, uids in find_entries(connection, account_id, message_id).items():
        delta = deltas[mailbox_id]
        rows = connection.execute(READ_ENTRIES, {**key_parameters(delta), "uids": uids})
        changed = []
        with suppress(TooManyKeywords):
            for entry in map(parse_entry, rows):
                after = change_entry(entry, change, delta.modseq)
                changed += [after] if after is not entry else []
        if changed:
            write_flags(connection, [MailboxDelta(delta.mailbox, changed_entries=changed)])
            delta.changed_entries += changed
            delta.dirty = True


def _remove(connection: Connection, account_id: AccountId, message_id: MessageId, deltas: Deltas) -> set[MessageId]:
    located = find_entries(connection, account_id, message_id)
    if not located:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    for mailbox_id, uids in located.items():
        remove_entries(connection, deltas[mailbox_id], uids)
    return remove_messages(connection, account_id, {message_id})


def _sender_first(deltas: Sequence[MailboxDelta], account_id: AccountId) -> list[MailboxDelta]:
    """The deltas with those of the account first, because `Committed` takes the account of removed messages from it."""
    by_account: defaultdict[bool, list[MailboxDelta]] = defaultdict(list)
    for delta in deltas:
        by_account[delta.mailbox.account_id == account_id].append(delta)
    return by_account[True] + by_account[False]
