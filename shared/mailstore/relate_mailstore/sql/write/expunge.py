"""Changing what is entered: flags and keywords, expunging, deleting. Each within a transaction of the caller's.

Each locks the mailboxes that it changes, gives all that it changes in one of them the same modseq, and leaves the
mailboxes' rows and the tombstones as catching up by modseq needs them.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.sql.driver.dialects import POSTGRESQL, ids, numbers, one_of
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.mailboxes import Step, lock_account, lock_mailbox
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, pack_keywords, parse_entry
from relate_mailstore.sql.schema.tables import blobs, entries, expunged, messages, texts, untexted
from relate_mailstore.types import AccountId, FlagChange, MailboxId, MessageId

_IN_MAILBOX = (
    entries.c.account_id == bindparam("of_account"),
    entries.c.mailbox_id == bindparam("of_mailbox"),
    one_of(entries.c.uid, numbers("uids")),
)
_OF_MESSAGE = (entries.c.account_id == bindparam("of_account"), entries.c.message_id == bindparam("of_message"))

READ_ENTRIES = select(*ENTRY_COLUMNS).where(*_IN_MAILBOX).order_by(entries.c.uid)
_READ_PLACES = select(entries.c.mailbox_id, entries.c.uid).where(*_OF_MESSAGE)
_SET_FLAGS = (
    update(entries)
    .where(*_IN_MAILBOX)
    .values(flags=bindparam("new_flags"), keywords=bindparam("new_keywords"), modseq=bindparam("new_modseq"))
)
_REMOVE = delete(entries).where(*_IN_MAILBOX).returning(entries.c.uid, entries.c.message_id, entries.c.size)
_LEAVE_TOMBSTONES = insert(expunged)

# Asked first and removed by id after: one DELETE … WHERE NOT EXISTS is planned badly for many ids.
_STILL_ENTERED = select(entries.c.message_id).where(
    entries.c.account_id == bindparam("of_account"), one_of(entries.c.message_id, ids("message_ids"))
)
_LOCK_MESSAGES = (
    select(messages.c.id)
    .where(messages.c.account_id == bindparam("of_account"), one_of(messages.c.id, ids("message_ids")))
    .order_by(messages.c.id)
    .with_for_update()
)
_STILL_HELD = select(messages.c.id).where(one_of(messages.c.id, ids("message_ids")))
_REMOVE_MESSAGES = delete(messages).where(
    messages.c.account_id == bindparam("of_account"), one_of(messages.c.id, ids("message_ids"))
)
_REMOVE_UNTEXTED, _REMOVE_TEXTS = (
    delete(table).where(table.c.account_id == bindparam("of_account"), one_of(table.c.message_id, ids("message_ids")))
    for table in (untexted, texts)
)
_REMOVE_BLOBS = delete(blobs).where(one_of(blobs.c.id, ids("message_ids")))

_COLLECT_MESSAGES = delete(messages).where(
    ~exists(
        select(1)
        .select_from(entries)
        .where(entries.c.message_id == messages.c.id, entries.c.account_id == messages.c.account_id)
    )
)
_COLLECT_BLOBS = delete(blobs).where(~exists(select(1).select_from(messages).where(messages.c.id == blobs.c.id)))
_COLLECT_UNTEXTED, _COLLECT_TEXTS = (
    delete(table).where(
        ~exists(
            select(1)
            .select_from(messages)
            .where(messages.c.id == table.c.message_id, messages.c.account_id == table.c.account_id)
        )
    )
    for table in (untexted, texts)
)
_COLLECT = (_COLLECT_MESSAGES, _COLLECT_BLOBS, _COLLECT_UNTEXTED, _COLLECT_TEXTS)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What a transaction is to answer, what it did to mailboxes, and which messages their account has no more."""

    result: T
    steps: Sequence[Step]
    gone: Collection[MessageId] = ()


def flag_message(
    connection: Connection, account_id: AccountId, message_id: MessageId, change: FlagChange
) -> Committed[None]:
    """Change a message wherever it is entered. Raises MessageNotFound."""
    steps = _lock_places(connection, account_id, message_id)
    for step, uids in steps:
        _change_entries(connection, step, uids, change)
    return Committed(None, _taken(step for step, _ in steps))


def expunge(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]
) -> Committed[Sequence[int]]:
    """Remove entries of a mailbox; the UIDs that were there, ascending. Raises MailboxNotFound."""
    step = Step(lock_mailbox(connection, account_id, mailbox_id))
    removed, left = remove_entries(connection, step, uids)
    gone = remove_messages(connection, account_id, left) if left else set()
    return Committed(removed, _taken([step]), gone)


def delete_message(connection: Connection, account_id: AccountId, message_id: MessageId) -> Committed[None]:
    """Remove a message wherever it is entered. Raises MessageNotFound."""
    steps = _lock_places(connection, account_id, message_id)
    for step, uids in steps:
        remove_entries(connection, step, uids)
    gone = remove_messages(connection, account_id, {message_id})
    return Committed(None, _taken(step for step, _ in steps), gone)


def collect_garbage(connection: Connection) -> int:
    """Remove messages that are entered nowhere and blobs of no message; how many rows that were.

    Blobs are left behind where two accounts remove the same message at once, as neither transaction sees the other.
    """
    collected = [connection.execute(statement) for statement in _COLLECT]
    return sum(result.rowcount for result in collected)


def _lock_places(
    connection: Connection, account_id: AccountId, message_id: MessageId
) -> Sequence[tuple[Step, Sequence[int]]]:
    """The mailboxes where a message is entered, and its UIDs there. All of the account's mailboxes are locked."""
    mailboxes = lock_account(connection, account_id)
    uids: defaultdict[MailboxId, list[int]] = defaultdict(list)
    parameters = {"of_account": account_id, "of_message": message_id}
    for mailbox_id, uid in connection.execute(_READ_PLACES, parameters):
        uids[mailbox_id].append(uid)
    if not uids:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    return [(Step(mailboxes[mailbox_id]), of_mailbox) for mailbox_id, of_mailbox in uids.items()]


def _change_entries(connection: Connection, step: Step, uids: Collection[int], change: FlagChange) -> None:
    before = [parse_entry(row) for row in connection.execute(READ_ENTRIES, {**key_of(step), "uids": uids})]
    after = [change_entry(entry, change, step.modseq) for entry in before]
    step.entries += [new for old, new in zip(before, after, strict=True) if new is not old]
    if step.entries:
        step.taken = True
        write_flags(connection, [step])


def write_flags(connection: Connection, steps: Iterable[Step]) -> None:
    """Write the entries that these steps changed.

    All that come out alike take one row of parameters, and in a STORE of many messages nearly all do.
    """
    alike: defaultdict[tuple[int, int, int, tuple[str, ...], int], list[int]] = defaultdict(list)
    for step in steps:
        for entry in step.entries:
            key = step.mailbox.account_id, step.mailbox.id, entry.flags, entry.keywords, entry.modseq
            alike[key].append(entry.uid)
    rows = [
        {
            "of_account": account_id,
            "of_mailbox": mailbox_id,
            "uids": uids,
            "new_flags": flags,
            "new_keywords": pack_keywords(keywords),
            "new_modseq": modseq,
        }
        for (account_id, mailbox_id, flags, keywords, modseq), uids in alike.items()
    ]
    if rows:
        run_many(connection, _SET_FLAGS, rows)


def remove_entries(connection: Connection, step: Step, uids: Collection[int]) -> tuple[list[int], set[MessageId]]:
    """The UIDs that were removed, ascending, and the messages that were entered there."""
    rows = (connection.execute(_REMOVE, {**key_of(step), "uids": uids})).all()
    if rows:
        key = {"account_id": step.mailbox.account_id, "mailbox_id": step.mailbox.id, "modseq": step.modseq}
        key["removed"] = int(time.time())
        connection.execute(_LEAVE_TOMBSTONES, [{**key, "uid": row.uid} for row in rows])
        step.leave([row.uid for row in rows], sum(row.size for row in rows))
    return sorted(row.uid for row in rows), {row.message_id for row in rows}


def remove_messages(connection: Connection, account_id: AccountId, left: set[MessageId]) -> set[MessageId]:
    """Remove those that are entered nowhere any more, and their octets where no other account has them."""
    gone = left.difference(_still_entered(connection, account_id, left))
    if len(gone) < len(left) and connection.dialect.name == POSTGRESQL:
        # Another transaction may be removing the other entries of a message. The lock lets the later one see that.
        connection.execute(_LOCK_MESSAGES, {"of_account": account_id, "message_ids": left - gone})
        gone = left.difference(_still_entered(connection, account_id, left))
    if gone:
        # In this order: who makes a text holds its row of `untexted` until the text can be seen.
        for statement in (_REMOVE_MESSAGES, _REMOVE_UNTEXTED, _REMOVE_TEXTS):
            connection.execute(statement, {"of_account": account_id, "message_ids": gone})
        held = connection.scalars(_STILL_HELD, {"message_ids": gone})
        connection.execute(_REMOVE_BLOBS, {"message_ids": gone.difference(held)})
    return gone


def _still_entered(connection: Connection, account_id: AccountId, left: set[MessageId]) -> Iterable[MessageId]:
    return connection.scalars(_STILL_ENTERED, {"of_account": account_id, "message_ids": left})


def _taken(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.taken]


def key_of(step: Step) -> dict[str, int]:
    """The parameters that name the mailbox of a step."""
    return {"of_account": step.mailbox.account_id, "of_mailbox": step.mailbox.id}
