"""Entering messages into mailboxes by their owner: APPEND, COPY, MOVE. Each within a transaction of the caller's."""

import time
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, insert, select

from relate_mailstore.errors import MailboxNotFound, MessageNotFound, StoreError
from relate_mailstore.quota import check_quota
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.mailboxes import Step, find_pair, lock_account, lock_pair
from relate_mailstore.sql.schema.rows import pack_keywords, parse_entry
from relate_mailstore.sql.schema.tables import entries, messages
from relate_mailstore.sql.write.deliver import plan_batch, store_plan
from relate_mailstore.sql.write.expunge import READ_ENTRIES, Committed, key_of, remove_entries, remove_messages
from relate_mailstore.sql.write.group_commit import Accepted
from relate_mailstore.types import AccountId, Appended, Copied, CopiedUid, Entry, Mailbox, MailboxId, MessageId

ORIGINS = 32  # told of a copy: enough to follow a person's, and a bound for a copy of a whole mailbox

_ENTER = insert(entries)
_ORIGINS = select(messages.c.origin).where(
    messages.c.account_id == bindparam("of_account"),
    one_of(messages.c.id, ids("message_ids")),
    messages.c.origin.is_not(None),
)


def append(
    connection: Connection,
    account_id: AccountId,
    batch: Sequence[Accepted],
    replaces: tuple[MailboxId, int] | None,
    quota: int | None,
) -> Committed[Appended]:
    """Store messages for one mailbox, all or none, and expunge the entry they replace.

    Raises MailboxNotFound, MessageNotFound, OverQuota.
    """
    there = lock_account(connection, account_id).values()
    plan = plan_batch(batch, {(account_id, mailbox.name): mailbox for mailbox in there}, int(time.time()))
    entered: list[tuple[int, int]] = []
    for outcome in plan.outcomes:
        if isinstance(outcome, StoreError):
            raise outcome
        entered += outcome.entered
    # First, as the UID may be one that is only being given now.
    gone = _replace(connection, plan.steps.values(), replaces) if replaces else set()
    check_quota(sum(mailbox.octets for mailbox in there), sum(step.octets for step in plan.steps.values()), quota)
    store_plan(connection, plan)
    return Committed(Appended(entered[0][0], tuple(uid for _, uid in entered)), plan.taken, gone)


def copy(
    connection: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Collection[int],
    target: str,
    *,
    quota: int | None,
) -> Committed[Copied]:
    """Enter messages into another mailbox, too. Raises MailboxNotFound, OverQuota."""
    if quota is None:
        source, into = _steps(lock_pair(connection, account_id, mailbox_id, target))
        return Committed(_copy(connection, source, into, uids), _taken(source, into))
    there = lock_account(connection, account_id).values()
    source, into = _steps(find_pair(there, account_id, mailbox_id, target))
    copied = _copy(connection, source, into, uids)
    check_quota(sum(mailbox.octets for mailbox in there), into.octets, quota)
    return Committed(copied, _taken(source, into))


def move(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int], target: str
) -> Committed[Copied]:
    """Enter messages into another mailbox instead. Raises MailboxNotFound."""
    source, into = _steps(lock_pair(connection, account_id, mailbox_id, target))
    copied = _copy(connection, source, into, uids)
    if copied.uids:
        remove_entries(connection, source, [uid for uid, _ in copied.uids])
    return Committed(copied, _taken(source, into))


def _replace(connection: Connection, steps: Collection[Step], replaces: tuple[MailboxId, int]) -> set[MessageId]:
    mailbox_id, uid = replaces
    step = next((step for step in steps if step.mailbox.id == mailbox_id), None)
    if step is None:
        raise MailboxNotFound(f"mailbox {mailbox_id}")
    removed, left = remove_entries(connection, step, [uid])
    if not removed:
        raise MessageNotFound(f"UID {uid} in mailbox {mailbox_id}")
    return remove_messages(connection, step.mailbox.account_id, left)


def _steps(pair: tuple[Mailbox, Mailbox]) -> tuple[Step, Step]:
    """A step in each of the two mailboxes; one and the same if they are."""
    source, into = pair
    step = Step(source)
    return step, step if into.id == source.id else Step(into)


def _copy(connection: Connection, source: Step, into: Step, uids: Collection[int]) -> Copied:
    found = [parse_entry(row) for row in connection.execute(READ_ENTRIES, {**key_of(source), "uids": uids})]
    if not found:
        return Copied(into.mailbox.uid_validity, ())
    origins = _origins(connection, into.mailbox.account_id, found)
    origin = origins[-1] if origins else None
    copies = [into.arrive(entry.size, origin) for entry in found]
    new = [
        entry._replace(uid=uid, modseq=into.modseq, saved=int(into.moment))
        for entry, uid in zip(found, copies, strict=True)
    ]
    into.entries += new
    connection.execute(_ENTER, [_row(into, entry) for entry in new])
    copied = tuple(CopiedUid(entry.uid, uid) for entry, uid in zip(found, copies, strict=True))
    return Copied(into.mailbox.uid_validity, copied, origins)


def _row(into: Step, entry: Entry) -> dict[str, object]:
    key = {"account_id": into.mailbox.account_id, "mailbox_id": into.mailbox.id}
    return {**key, **entry._asdict(), "keywords": pack_keywords(entry.keywords)}


def _origins(connection: Connection, account_id: AccountId, found: Sequence[Entry]) -> tuple[str, ...]:
    asked = [entry.message_id for entry in found[:ORIGINS]]
    origins = connection.scalars(_ORIGINS, {"of_account": account_id, "message_ids": asked})
    return tuple(dict.fromkeys(origins))


def _taken(*steps: Step) -> list[Step]:
    distinct = {step.mailbox.id: step for step in steps}
    return [step for step in distinct.values() if step.taken]
