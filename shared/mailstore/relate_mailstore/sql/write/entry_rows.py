"""Rows of entries, as the transactions that change them read and write them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, select, update

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.deltas import MailboxDelta
from relate_mailstore.sql.driver.dialects import numbers, one_of
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.mailboxes import lock_account
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, pack_keywords
from relate_mailstore.sql.schema.tables import entries
from relate_mailstore.types import AccountId, MailboxId, MessageId, ModSeq, Uid

IN_MAILBOX = (entries.c.account_id == bindparam("of_account"), entries.c.mailbox_id == bindparam("of_mailbox"))
BY_UIDS = (*IN_MAILBOX, one_of(entries.c.uid, numbers("uids")))

READ_ENTRIES = select(*ENTRY_COLUMNS).where(*BY_UIDS).order_by(entries.c.uid)
_FIND_MESSAGE = select(entries.c.mailbox_id, entries.c.uid).where(
    entries.c.account_id == bindparam("of_account"), entries.c.message_id == bindparam("of_message")
)
_SET_FLAGS = (
    update(entries)
    .where(*BY_UIDS)
    .values(flags=bindparam("new_flags"), keywords=bindparam("new_keywords"), modseq=bindparam("new_modseq"))
)


def key_parameters(delta: MailboxDelta) -> dict[str, int]:
    """The parameters of `IN_MAILBOX`."""
    return {"of_account": delta.mailbox.account_id, "of_mailbox": delta.mailbox.id}


def lock_mailboxes_of(
    connection: Connection, account_id: AccountId, message_id: MessageId
) -> Sequence[tuple[MailboxDelta, Sequence[Uid]]]:
    """The mailboxes that contain a message, and its UIDs there. Locks all mailboxes of the account.

    Raises MessageNotFound.
    """
    mailboxes = lock_account(connection, account_id)
    uids = find_entries(connection, account_id, message_id)
    if not uids:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    return [(MailboxDelta(mailboxes[mailbox_id]), in_mailbox) for mailbox_id, in_mailbox in uids.items()]


def find_entries(
    connection: Connection, account_id: AccountId, message_id: MessageId
) -> Mapping[MailboxId, Sequence[Uid]]:
    """The UIDs of a message in each mailbox of an account that contains it."""
    uids: defaultdict[MailboxId, list[Uid]] = defaultdict(list)
    for mailbox_id, uid in connection.execute(_FIND_MESSAGE, {"of_account": account_id, "of_message": message_id}):
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
