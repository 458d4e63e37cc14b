"""Rows of entries, as the transactions that change them read and write them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.listing import PlacedEntry, expect_state, merge_entries
from relate_mailstore.sql.deltas import MailboxDelta
from relate_mailstore.sql.driver.dialects import ids, numbers, one_of
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.mailboxes import lock_account
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, pack_keywords, parse_entry
from relate_mailstore.sql.schema.tables import entries
from relate_mailstore.types import AccountId, Entry, MailboxId, MessageId, MessageState, ModSeq, Uid

IN_MAILBOX = (entries.c.account_id == bindparam("of_account"), entries.c.mailbox_id == bindparam("of_mailbox"))
BY_UIDS = (*IN_MAILBOX, one_of(entries.c.uid, numbers("uids")))

READ_ENTRIES = select(*ENTRY_COLUMNS).where(*BY_UIDS).order_by(entries.c.uid)
_FIND_MESSAGES = select(entries.c.mailbox_id, entries.c.uid, entries.c.message_id).where(
    # `+ 0` keeps SQLite from choosing the account's index, with all its rows.
    entries.c.account_id + 0 == bindparam("of_account"),
    one_of(entries.c.message_id, ids("message_ids")),
)
_SET_FLAGS = (
    update(entries)
    .where(*BY_UIDS)
    .values(flags=bindparam("new_flags"), keywords=bindparam("new_keywords"), modseq=bindparam("new_modseq"))
)


def key_parameters(delta: MailboxDelta) -> dict[str, int]:
    """The parameters of `IN_MAILBOX`."""
    return {"of_account": delta.mailbox.account_id, "of_mailbox": delta.mailbox.id}


class Located(NamedTuple):
    """The messages among those asked for that an account has, and their UIDs by mailbox."""

    message_ids: set[MessageId]
    places: Sequence[tuple[MailboxDelta, Sequence[Uid]]]


def locate(connection: Connection, account_id: AccountId, message_ids: Collection[MessageId]) -> Located:
    """The mailboxes that contain any of the messages, with their UIDs there. Locks all mailboxes of the account."""
    mailboxes = lock_account(connection, account_id)
    uids: defaultdict[MailboxId, list[Uid]] = defaultdict(list)
    found: set[MessageId] = set()
    parameters = {"of_account": account_id, "message_ids": message_ids}
    for mailbox_id, uid, message_id in connection.execute(_FIND_MESSAGES, parameters):
        uids[mailbox_id].append(uid)
        found.add(message_id)
    return Located(found, [(MailboxDelta(mailboxes[mailbox_id]), places) for mailbox_id, places in uids.items()])


def locate_one(
    connection: Connection, account_id: AccountId, message_id: MessageId, expected: MessageState | None = None
) -> Located:
    """`locate` for one message. Raises MessageNotFound, and MessageChanged if its state is not `expected`."""
    located = locate(connection, account_id, [message_id])
    if not located.places:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    if expected is not None:
        placed = [
            PlacedEntry(delta.mailbox.name, entry.flags, entry.keywords)
            for delta, uids in located.places
            for entry in read_entries(connection, delta, uids)
        ]
        expect_state(merge_entries(placed), expected)
    return located


def read_entries(connection: Connection, delta: MailboxDelta, uids: Collection[Uid]) -> Sequence[Entry]:
    """Entries of a locked mailbox, in the order of their UIDs."""
    rows = connection.execute(READ_ENTRIES, {**key_parameters(delta), "uids": uids})
    return [parse_entry(row) for row in rows]


def find_entries(
    connection: Connection, account_id: AccountId, message_id: MessageId
) -> Mapping[MailboxId, Sequence[Uid]]:
    """The UIDs of a message in each mailbox of an account that contains it."""
    uids: defaultdict[MailboxId, list[Uid]] = defaultdict(list)
    parameters = {"of_account": account_id, "message_ids": [message_id]}
    for mailbox_id, uid, _ in connection.execute(_FIND_MESSAGES, parameters):
        uids[mailbox_id].append(uid)
    return uids


def write_flags(connection: Connection, deltas: Iterable[MailboxDelta]) -> None:
    """Write the flags and keywords of the changed entries.

    Entries with the same result share one row of parameters; after a STORE of many messages nearly all do.
    """
    same: defaultdict[tuple[AccountId, MailboxId, int, tuple[str, ...], ModSeq], list[Uid]] = defaultdict(list)
    for delta in deltas:
        for entry in delta.changed_entries:
            result = delta.mailbox.account_id, delta.mailbox.id, entry.flags, entry.keywords, entry.modseq
            same[result].append(entry.uid)
    rows = [
        {
            "of_account": account_id,
            "of_mailbox": mailbox_id,
            "uids": uids,
            "new_flags": flags,
            "new_keywords": pack_keywords(keywords),
            "new_modseq": modseq,
        }
        for (account_id, mailbox_id, flags, keywords, modseq), uids in same.items()
    ]
    if rows:
        run_many(connection, _SET_FLAGS, rows)
