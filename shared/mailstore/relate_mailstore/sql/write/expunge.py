"""The transactions that remove entries: expunge, deletion of a message, garbage collection.

Removing the last entry of a message in its account removes the message; its octets stay while another account has it,
or the queue.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, union_all

from relate_mailstore.errors import StoreFull
from relate_mailstore.sql.deltas import Committed, MailboxDelta, dirty
from relate_mailstore.sql.driver.dialects import POSTGRESQL, ids, one_of
from relate_mailstore.sql.mailboxes import lock_by_id
from relate_mailstore.sql.schema.tables import blobs, entries, expunged, messages, queue_messages, texts, untexted
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.entry_rows import BY_UIDS, Located, key_parameters, locate, locate_one
from relate_mailstore.sql.write.told import Telling
from relate_mailstore.types import AccountId, MailboxId, MessageId, MessageState, Uid

_REMOVE = delete(entries).where(*BY_UIDS).returning(entries.c.uid, entries.c.message_id, entries.c.size)
_ADD_TOMBSTONES = insert(expunged)

# A SELECT and a DELETE by id: PostgreSQL plans one DELETE … WHERE NOT EXISTS badly for many ids.
_STILL_ENTERED = select(entries.c.message_id).where(
    entries.c.account_id == bindparam("of_account"), one_of(entries.c.message_id, ids("message_ids"))
)
_LOCK_MESSAGES = (
    select(messages.c.id)
    .where(messages.c.account_id == bindparam("of_account"), one_of(messages.c.id, ids("message_ids")))
    .order_by(messages.c.id)
    .with_for_update()
)
_OTHER_OWNERS = union_all(
    *(select(table.c.id).where(one_of(table.c.id, ids("message_ids"))) for table in (messages, queue_messages))
)
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
_COLLECT_BLOBS = delete(blobs).where(
    *(~exists(select(1).select_from(table).where(table.c.id == blobs.c.id)) for table in (messages, queue_messages))
)
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


class Removed(NamedTuple):
    """Entries that were removed: their UIDs, ascending, and their messages."""

    uids: list[Uid]
    message_ids: set[MessageId]


async def expunge_in_halves(
    committer: Committer, telling: Telling, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]
) -> Sequence[Uid]:
    """Expunge entries; while the disk is too full for the transaction, split it in halves. Raises StoreFull."""
    work = telling(partial(expunge, account_id=account_id, mailbox_id=mailbox_id, uids=uids))
    try:
        return await committer.run(work, removes=True)
    except StoreFull:
        if len(uids) < 2:
            raise
    ascending = sorted(uids)
    half = len(ascending) // 2
    removed = await expunge_in_halves(committer, telling, account_id, mailbox_id, ascending[:half])
    return [*removed, *await expunge_in_halves(committer, telling, account_id, mailbox_id, ascending[half:])]


def expunge(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]
) -> Committed[Sequence[Uid]]:
    """Remove entries of a mailbox; the UIDs that existed, ascending. Raises MailboxNotFound."""
    delta = MailboxDelta(lock_by_id(connection, account_id, mailbox_id))
    removed = remove_entries(connection, delta, uids)
    messages = remove_messages(connection, account_id, removed.message_ids) if removed.message_ids else set()
    return Committed(removed.uids, dirty([delta]), messages)


def delete_message(
    connection: Connection, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
) -> Committed[None]:
    """Remove a message from every mailbox of an account.

    Raises MessageNotFound, and MessageChanged if its state is not `expected`.
    """
    located = locate_one(connection, account_id, message_id, expected)
    deltas, removed = _remove_located(connection, account_id, located)
    return Committed(None, deltas, removed)


def delete_messages(
    connection: Connection, account_id: AccountId, message_ids: Collection[MessageId]
) -> Committed[int]:
    """Remove messages from every mailbox of an account; how many it had."""
    located = locate(connection, account_id, message_ids)
    deltas, removed = _remove_located(connection, account_id, located)
    return Committed(len(located.message_ids), deltas, removed)


def _remove_located(
    connection: Connection, account_id: AccountId, located: Located
) -> tuple[Sequence[MailboxDelta], set[MessageId]]:
    for delta, uids in located.places:
        remove_entries(connection, delta, uids)
    removed = remove_messages(connection, account_id, located.message_ids) if located.message_ids else set()
    return dirty(delta for delta, _ in located.places), removed


def collect_garbage(connection: Connection) -> int:
    """Remove messages without an entry and blobs without an owner; the number of rows.

    Blobs are left over where two of their owners remove the same message at once, because neither transaction sees
    the other.
    """
    collected = [connection.execute(statement) for statement in _COLLECT]
    return sum(result.rowcount for result in collected)


def remove_entries(connection: Connection, delta: MailboxDelta, uids: Collection[Uid]) -> Removed:
    """Remove entries of a locked mailbox and add their tombstones."""
    rows = (connection.execute(_REMOVE, {**key_parameters(delta), "uids": uids})).all()
    if rows:
        tombstone = {
            "account_id": delta.mailbox.account_id,
            "mailbox_id": delta.mailbox.id,
            "modseq": delta.modseq,
            "removed": int(time.time()),
        }
        connection.execute(_ADD_TOMBSTONES, [{**tombstone, "uid": row.uid} for row in rows])
        delta.remove_entries([row.uid for row in rows], sum(row.size for row in rows))
    return Removed(sorted(row.uid for row in rows), {row.message_id for row in rows})


def remove_messages(connection: Connection, account_id: AccountId, candidates: set[MessageId]) -> set[MessageId]:
    """Remove the candidates that have no entry left, and their blobs where no other account has them."""
    orphans = candidates.difference(_still_entered(connection, account_id, candidates))
    if len(orphans) < len(candidates) and connection.dialect.name == POSTGRESQL:
        # A concurrent transaction may be removing a message's other entries. After the lock, the later one sees that.
        connection.execute(_LOCK_MESSAGES, {"of_account": account_id, "message_ids": candidates - orphans})
        orphans = candidates.difference(_still_entered(connection, account_id, candidates))
    if orphans:
        # In this order: the maker of a search text holds its row of `untexted` until the text is visible.
        for statement in (_REMOVE_MESSAGES, _REMOVE_UNTEXTED, _REMOVE_TEXTS):
            connection.execute(statement, {"of_account": account_id, "message_ids": orphans})
        owned = connection.scalars(_OTHER_OWNERS, {"message_ids": orphans})
        connection.execute(_REMOVE_BLOBS, {"message_ids": orphans.difference(owned)})
    return orphans


def _still_entered(connection: Connection, account_id: AccountId, message_ids: set[MessageId]) -> Iterable[MessageId]:
    return connection.scalars(_STILL_ENTERED, {"of_account": account_id, "message_ids": message_ids})
