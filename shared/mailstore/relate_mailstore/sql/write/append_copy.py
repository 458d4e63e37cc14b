"""The transactions of APPEND (of several messages, or with REPLACE), COPY and MOVE."""

import time
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, insert, select

from relate_mailstore.change_events import Move
from relate_mailstore.errors import MailboxNotFound, MessageNotFound, StoreError
from relate_mailstore.quota import check_quota
from relate_mailstore.sql.deltas import Committed, MailboxDelta, MailboxName, dirty
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.mailboxes import lock_account, lock_pair, pick_pair
from relate_mailstore.sql.schema.rows import pack_keywords, parse_entry
from relate_mailstore.sql.schema.tables import entries, messages
from relate_mailstore.sql.write.deliver import plan_batch, store_plan
from relate_mailstore.sql.write.entry_rows import READ_ENTRIES, key_parameters
from relate_mailstore.sql.write.expunge import remove_entries, remove_messages
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mailstore.types import (
    AccountId,
    Appended,
    AssignedUid,
    Copied,
    CopiedUid,
    Entry,
    Mailbox,
    MailboxId,
    MessageId,
    Uid,
)

MAX_ORIGINS = 32  # of a copy: enough to follow what a person copies, and a bound for a copy of a whole mailbox

_INSERT_ENTRIES = insert(entries)
_ORIGINS = select(messages.c.origin).where(
    messages.c.account_id == bindparam("of_account"),
    one_of(messages.c.id, ids("message_ids")),
    messages.c.origin.is_not(None),
)


def append(
    connection: Connection,
    account_id: AccountId,
    batch: Sequence[QueuedDelivery],
    replaces: tuple[MailboxId, Uid] | None,
    *,
    quota: int | None,
    writer: EventWriter,
) -> Committed[Appended]:
    """Store messages for one mailbox with their events, all or none, and expunge the entry that they replace.

    Raises MailboxNotFound, MessageNotFound, OverQuota.
    """
    locked = lock_account(connection, account_id).values()
    names = {MailboxName(account_id, mailbox.name): mailbox for mailbox in locked}
    now = time.time()
    plan = plan_batch(batch, names, now)
    entered: list[AssignedUid] = []
    for result in plan.results:
        if isinstance(result, StoreError):
            raise result
        entered += result.entered
    # Before the insertion, because the client may have guessed a UID that is being assigned only now.
    removed = _replace(connection, plan.deltas.values(), replaces) if replaces else set()
    check_quota(sum(mailbox.octets for mailbox in locked), sum(delta.octets for delta in plan.deltas.values()), quota)
    store_plan(connection, plan, now)
    writer.add(connection, plan.events)
    return Committed(Appended(entered[0][0], tuple(uid for _, uid in entered)), plan.dirty_deltas, removed)


def copy(
    connection: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Collection[Uid],
    target: str,
    *,
    quota: int | None,
) -> Committed[Copied]:
    """Enter messages into another mailbox as well. Raises MailboxNotFound, OverQuota."""
    if quota is None:
        source, into = _deltas(lock_pair(connection, account_id, mailbox_id, target))
        return Committed(_copy(connection, source, into, uids), _changed(source, into))
    locked = lock_account(connection, account_id).values()
    source, into = _deltas(pick_pair(locked, account_id, mailbox_id, target))
    copied = _copy(connection, source, into, uids)
    check_quota(sum(mailbox.octets for mailbox in locked), into.octets, quota)
    return Committed(copied, _changed(source, into))


def move(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid], target: str
) -> Committed[Copied]:
    """Enter messages into another mailbox instead. Raises MailboxNotFound."""
    source, into = _deltas(lock_pair(connection, account_id, mailbox_id, target))
    copied = _copy(connection, source, into, uids)
    if copied.uids:
        remove_entries(connection, source, [uid for uid, _ in copied.uids])
    moved = Move(source.mailbox.name, into.mailbox.name, into.changed_entries)
    return Committed(copied, _changed(source, into), move=moved)


def _replace(
    connection: Connection, deltas: Collection[MailboxDelta], replaces: tuple[MailboxId, Uid]
) -> set[MessageId]:
    mailbox_id, uid = replaces
    delta = next((delta for delta in deltas if delta.mailbox.id == mailbox_id), None)
    if delta is None:
        raise MailboxNotFound(f"mailbox {mailbox_id}")
    removed = remove_entries(connection, delta, [uid])
    if not removed.uids:
        raise MessageNotFound(f"UID {uid} in mailbox {mailbox_id}")
    return remove_messages(connection, delta.mailbox.account_id, removed.message_ids)


def _deltas(pair: tuple[Mailbox, Mailbox]) -> tuple[MailboxDelta, MailboxDelta]:
    """A delta for each of the two mailboxes; the same one twice if they are the same."""
    source, into = pair
    delta = MailboxDelta(source)
    return delta, delta if into.id == source.id else MailboxDelta(into)


def _copy(connection: Connection, source: MailboxDelta, into: MailboxDelta, uids: Collection[Uid]) -> Copied:
    rows = connection.execute(READ_ENTRIES, {**key_parameters(source), "uids": uids})
    found = [parse_entry(row) for row in rows]
    if not found:
        return Copied(into.mailbox.uid_validity, ())
    origins = _origins(connection, into.mailbox.account_id, found)
    origin = origins[-1] if origins else None
    new_uids = [into.add_message(entry.size, origin) for entry in found]
    modseq, saved = into.modseq, int(into.changed_at)
    copies = [entry._replace(uid=uid, modseq=modseq, saved=saved) for entry, uid in zip(found, new_uids, strict=True)]
    into.changed_entries += copies
    connection.execute(_INSERT_ENTRIES, [_row(into, entry) for entry in copies])
    copied = tuple(CopiedUid(entry.uid, uid) for entry, uid in zip(found, new_uids, strict=True))
    return Copied(into.mailbox.uid_validity, copied, origins)


def _row(into: MailboxDelta, entry: Entry) -> dict[str, object]:
    key = {"account_id": into.mailbox.account_id, "mailbox_id": into.mailbox.id}
    return {**key, **entry._asdict(), "keywords": pack_keywords(entry.keywords)}


def _origins(connection: Connection, account_id: AccountId, found: Sequence[Entry]) -> tuple[str, ...]:
    message_ids = [entry.message_id for entry in found[:MAX_ORIGINS]]
    origins = connection.scalars(_ORIGINS, {"of_account": account_id, "message_ids": message_ids})
    return tuple(dict.fromkeys(origins))


def _changed(source: MailboxDelta, into: MailboxDelta) -> list[MailboxDelta]:
    return dirty({delta.mailbox.id: delta for delta in (source, into)}.values())
