"""Making, deleting and renaming mailboxes; subscriptions; what is \\Recent. Each within a transaction of the caller's.

Whoever changes which mailboxes an account has locks its row of `namespaces` first, then the mailboxes.
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, select, update

from relate_mailstore.errors import MailboxExists, MailboxNotFound
from relate_mailstore.mailbox_names import check_mailbox_limit, find_name, normalise_new_name, renamed_names
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import insert_once
from relate_mailstore.sql.mailboxes import (
    Step,
    add_mailboxes,
    lock_account,
    lock_mailbox,
    lock_named,
    lock_namespace,
)
from relate_mailstore.sql.schema.rows import stored_name
from relate_mailstore.sql.schema.tables import entries, expunged, mailboxes, subscriptions
from relate_mailstore.sql.write.append_copy import move
from relate_mailstore.sql.write.expunge import Committed, remove_messages
from relate_mailstore.types import INBOX, AccountId, Mailbox, MailboxId

_THIS = mailboxes.c.account_id == bindparam("of_account"), mailboxes.c.id == bindparam("of_mailbox")
_RENAME = update(mailboxes).where(*_THIS).values(name=bindparam("new_name"))
_TAKE_RECENT = update(mailboxes).where(*_THIS).values(recent=bindparam("taken"))
_REMOVE_MAILBOX = delete(mailboxes).where(*_THIS)
_REMOVE_ENTRIES = (
    delete(entries)
    .where(entries.c.account_id == bindparam("of_account"), entries.c.mailbox_id == bindparam("of_mailbox"))
    .returning(entries.c.message_id)
)
_REMOVE_TOMBSTONES = delete(expunged).where(
    expunged.c.account_id == bindparam("of_account"), expunged.c.mailbox_id == bindparam("of_mailbox")
)
_ALL_UIDS = select(entries.c.uid).where(
    entries.c.account_id == bindparam("of_account"), entries.c.mailbox_id == bindparam("of_mailbox")
)
_SUBSCRIPTIONS = select(subscriptions.c.name).where(subscriptions.c.account_id == bindparam("account_id"))
_SUBSCRIBE = insert_once(subscriptions, "account_id", "name")
_UNSUBSCRIBE = delete(subscriptions).where(
    subscriptions.c.account_id == bindparam("of_account"), subscriptions.c.name == bindparam("of_name")
)
_RECENT = select(mailboxes.c.recent, mailboxes.c.uid_next).where(*_THIS)


def create_mailbox(connection: Connection, account_id: AccountId, name: str, special_use: str) -> Mailbox:
    """Make a mailbox. Raises MailboxExists, TooManyMailboxes."""
    newest = lock_namespace(connection, account_id)
    names = [mailbox.name for mailbox in lock_account(connection, account_id).values()]
    if find_name(names, stored_name(name)) is not None:
        raise MailboxExists(f"account {account_id}")
    check_mailbox_limit(len(names))
    placed = normalise_new_name(names, stored_name(name))
    add_mailboxes(connection, account_id, newest, {placed: special_use})
    return lock_named(connection, account_id, placed)


def delete_mailbox(connection: Connection, account_id: AccountId, name: str) -> Committed[None]:
    """Remove a mailbox, its entries, and the messages that were entered nowhere else. Raises MailboxNotFound."""
    lock_namespace(connection, account_id)
    mailbox = lock_named(connection, account_id, name)
    key = {"of_account": account_id, "of_mailbox": mailbox.id}
    left = set(connection.scalars(_REMOVE_ENTRIES, key))
    connection.execute(_REMOVE_TOMBSTONES, key)
    connection.execute(_REMOVE_MAILBOX, key)
    gone = remove_messages(connection, account_id, left) if left else set()
    step = Step(mailbox, taken=True, messages=-mailbox.messages, octets=-mailbox.octets, whole=False)
    return Committed(None, [step], gone)


def rename_mailbox(connection: Connection, account_id: AccountId, name: str, new_name: str) -> Committed[None]:
    """Rename a mailbox and those below it, or move what is in INBOX. Raises MailboxNotFound, MailboxExists."""
    if stored_name(name) == INBOX:
        return _move_inbox(connection, account_id, new_name)
    lock_namespace(connection, account_id)
    there = lock_account(connection, account_id).values()
    renamed = renamed_names([mailbox.name for mailbox in there], stored_name(name), stored_name(new_name))
    if not renamed:
        raise MailboxNotFound(f"account {account_id}")
    moved = [mailbox for mailbox in there if mailbox.name in renamed]
    connection.execute(
        _RENAME, [{"of_account": account_id, "of_mailbox": it.id, "new_name": renamed[it.name]} for it in moved]
    )
    return Committed(None, [Step(mailbox, taken=True, whole=False) for mailbox in moved])


def take_recent(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, until: int | None
) -> tuple[int, int]:
    """The first UID that was recent, and the first that is now, those below `until` being taken.

    Raises MailboxNotFound.
    """
    mailbox = lock_mailbox(connection, account_id, mailbox_id)
    taken = max(mailbox.first_recent_uid, first_left(mailbox.uid_next, until))
    connection.execute(_TAKE_RECENT, {"of_account": account_id, "of_mailbox": mailbox_id, "taken": taken})
    return mailbox.first_recent_uid, taken


def first_left(uid_next: int, until: int | None) -> int:
    """The first UID that is left when those below `until` are taken; None takes all that there are."""
    return uid_next if until is None else min(until, uid_next)


async def first_recent(database: Database, account_id: AccountId, mailbox_id: MailboxId) -> tuple[int, int]:
    """The first UID that is recent, and the next UID. Raises MailboxNotFound."""
    rows = await database.fetch(_RECENT, {"of_account": account_id, "of_mailbox": mailbox_id})
    if not rows:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    recent, uid_next = rows[0]
    return recent, uid_next


async def list_subscriptions(database: Database, account_id: AccountId) -> Collection[str]:
    """The names that the account is subscribed to."""
    return frozenset(row.name for row in await database.fetch(_SUBSCRIPTIONS, {"account_id": account_id}))


def subscribe(connection: Connection, account_id: AccountId, name: str, subscribed: bool) -> None:
    """Add a name to the subscriptions or remove it. Raises TooManyMailboxes."""
    names = connection.scalars(_SUBSCRIPTIONS, {"account_id": account_id}).all()
    there = find_name(names, stored_name(name))
    if subscribed and there is None:
        check_mailbox_limit(len(names))
        row = {"account_id": account_id, "name": stored_name(name)}
        connection.execute(_SUBSCRIBE[connection.dialect.name], row)
    elif there is not None and not subscribed:
        connection.execute(_UNSUBSCRIBE, {"of_account": account_id, "of_name": there})


def _move_inbox(connection: Connection, account_id: AccountId, new_name: str) -> Committed[None]:
    create_mailbox(connection, account_id, new_name, "")
    inbox = lock_named(connection, account_id, INBOX)
    uids = connection.scalars(_ALL_UIDS, {"of_account": account_id, "of_mailbox": inbox.id}).all()
    moved = move(connection, account_id, inbox.id, uids, new_name)
    return Committed(None, moved.steps)
