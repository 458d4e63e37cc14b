"""The transactions of an account's namespace: create, delete and rename mailboxes, subscribe; and the \\Recent flag.

A transaction that changes which mailboxes an account has locks its row of `namespaces` first, then the mailboxes.
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from relate_mailstore.errors import MailboxExists, MailboxNotFound
from relate_mailstore.mailbox_names import (
    DEFAULT_MAILBOXES,
    canonical_name,
    check_mailbox_limit,
    find_name,
    normalise_new_name,
    renamed_names,
)
from relate_mailstore.sql.deltas import Committed, MailboxDelta
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import insert_once
from relate_mailstore.sql.mailboxes import (
    add_mailboxes,
    find_mailbox,
    lock_account,
    lock_by_id,
    lock_by_name,
    lock_namespace,
)
from relate_mailstore.sql.schema.rows import stored_name
from relate_mailstore.sql.schema.tables import entries, expunged, mailboxes, subscriptions
from relate_mailstore.sql.write.append_copy import move
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.sql.write.entry_rows import IN_MAILBOX
from relate_mailstore.sql.write.expunge import remove_messages
from relate_mailstore.types import INBOX, AccountId, Destination, Mailbox, MailboxId, Uid

_THIS = mailboxes.c.account_id == bindparam("of_account"), mailboxes.c.id == bindparam("of_mailbox")
_RENAME = update(mailboxes).where(*_THIS).values(name=bindparam("new_name"))
_SET_RECENT = update(mailboxes).where(*_THIS).values(recent=bindparam("first_recent"))
_REMOVE_MAILBOX = delete(mailboxes).where(*_THIS)
_REMOVE_ENTRIES = delete(entries).where(*IN_MAILBOX).returning(entries.c.message_id)
_REMOVE_TOMBSTONES = delete(expunged).where(
    expunged.c.account_id == bindparam("of_account"), expunged.c.mailbox_id == bindparam("of_mailbox")
)
_ALL_UIDS = select(entries.c.uid).where(*IN_MAILBOX)
_HAS_INBOX = select(mailboxes.c.id).where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.name == INBOX)
_SUBSCRIPTIONS = select(subscriptions.c.name).where(subscriptions.c.account_id == bindparam("account_id"))
_SUBSCRIBE = insert_once(subscriptions, "account_id", "name")
_UNSUBSCRIBE = delete(subscriptions).where(
    subscriptions.c.account_id == bindparam("of_account"), subscriptions.c.name == bindparam("of_name")
)
_RECENT = select(mailboxes.c.recent, mailboxes.c.uid_next).where(*_THIS)


class Recent(NamedTuple):
    """The first UID with the \\Recent flag, and what it is once these are taken."""

    first: Uid
    first_after: Uid


async def provision(database: Database, committer: Committer, account_id: AccountId) -> None:
    """Create INBOX and the special-use mailboxes of an account, unless it has an INBOX."""
    if not await database.fetch(_HAS_INBOX, {"account_id": account_id}):
        await committer.run_without_notice(partial(_provision, account_id=account_id))


async def provision_for(database: Database, committer: Committer, destinations: Iterable[Destination]) -> None:
    """Provision the accounts of a delivery.

    Raises MailboxNotFound, before anything is provisioned, if a destination would still be missing.
    """
    accounts = set()
    for destination in destinations:
        accounts.add(destination.account_id)
        if canonical_name(destination.mailbox) not in DEFAULT_MAILBOXES:
            await find_mailbox(database, destination.account_id, destination.mailbox)
    for account_id in accounts:
        await provision(database, committer, account_id)


def create_mailbox(connection: Connection, account_id: AccountId, name: str, special_use: str) -> Mailbox:
    """Create a mailbox. Raises MailboxExists, TooManyMailboxes."""
    newest = lock_namespace(connection, account_id)
    names = [mailbox.name for mailbox in lock_account(connection, account_id).values()]
    if find_name(names, stored_name(name)) is not None:
        raise MailboxExists(f"account {account_id}")
    check_mailbox_limit(len(names))
    new_name = normalise_new_name(names, stored_name(name))
    add_mailboxes(connection, account_id, newest, {new_name: special_use})
    return lock_by_name(connection, account_id, new_name)


def delete_mailbox(connection: Connection, account_id: AccountId, name: str) -> Committed[None]:
    """Delete a mailbox, its entries, and the messages that have no other entry. Raises MailboxNotFound."""
    lock_namespace(connection, account_id)
    mailbox = lock_by_name(connection, account_id, name)
    key = {"of_account": account_id, "of_mailbox": mailbox.id}
    message_ids = set(connection.scalars(_REMOVE_ENTRIES, key))
    connection.execute(_REMOVE_TOMBSTONES, key)
    connection.execute(_REMOVE_MAILBOX, key)
    removed = remove_messages(connection, account_id, message_ids) if message_ids else set()
    delta = MailboxDelta(mailbox, dirty=True, messages=-mailbox.messages, octets=-mailbox.octets, complete=False)
    return Committed(None, [delta], removed)


def rename_mailbox(connection: Connection, account_id: AccountId, name: str, new_name: str) -> Committed[None]:
    """Rename a mailbox and those below it, or move the messages of INBOX.

    Raises MailboxNotFound, MailboxExists, InvalidMailboxName.
    """
    if stored_name(name) == INBOX:
        return _move_inbox(connection, account_id, new_name)
    lock_namespace(connection, account_id)
    locked = lock_account(connection, account_id).values()
    new_names = renamed_names([mailbox.name for mailbox in locked], stored_name(name), stored_name(new_name))
    if not new_names:
        raise MailboxNotFound(f"account {account_id}")
    renamed = [mailbox for mailbox in locked if mailbox.name in new_names]
    connection.execute(
        _RENAME,
        [{"of_account": account_id, "of_mailbox": one.id, "new_name": new_names[one.name]} for one in renamed],
    )
    return Committed(None, [MailboxDelta(mailbox, dirty=True, complete=False) for mailbox in renamed])


async def take_recent(
    database: Database, committer: Committer, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None
) -> Recent:
    """Take the \\Recent flag of the messages below `until`, or of all; writes only if there are any.

    Raises MailboxNotFound.
    """
    key = {"of_account": account_id, "of_mailbox": mailbox_id}
    rows = await database.fetch(_RECENT, key)
    if not rows:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    recent, uid_next = rows[0]
    if recent >= _first_after(uid_next, until):
        return Recent(recent, recent)
    # A removal too: on a full disk, SELECT must succeed so that the client can expunge.
    work = partial(_take_recent, account_id=account_id, mailbox_id=mailbox_id, until=until)
    return await committer.run_without_notice(work, removes=True)


async def list_subscriptions(database: Database, account_id: AccountId) -> Collection[str]:
    """The subscribed names of an account."""
    return frozenset(row.name for row in await database.fetch(_SUBSCRIPTIONS, {"account_id": account_id}))


def subscribe(connection: Connection, account_id: AccountId, name: str, subscribed: bool) -> None:
    """Add or remove a subscription. Idempotent. Raises TooManyMailboxes."""
    names = connection.scalars(_SUBSCRIPTIONS, {"account_id": account_id}).all()
    existing = find_name(names, stored_name(name))
    if subscribed and existing is None:
        check_mailbox_limit(len(names))
        row = {"account_id": account_id, "name": stored_name(name)}
        connection.execute(_SUBSCRIBE[connection.dialect.name], row)
    elif existing is not None and not subscribed:
        connection.execute(_UNSUBSCRIBE, {"of_account": account_id, "of_name": existing})


def _provision(connection: Connection, account_id: AccountId) -> None:
    newest = lock_namespace(connection, account_id)
    if connection.execute(_HAS_INBOX, {"account_id": account_id}).one_or_none() is None:
        add_mailboxes(connection, account_id, newest, DEFAULT_MAILBOXES)
        names = [{"account_id": account_id, "name": name} for name in DEFAULT_MAILBOXES]
        connection.execute(_SUBSCRIBE[connection.dialect.name], names)


def _take_recent(connection: Connection, account_id: AccountId, mailbox_id: MailboxId, until: Uid | None) -> Recent:
    mailbox = lock_by_id(connection, account_id, mailbox_id)
    first_after = max(mailbox.first_recent_uid, _first_after(mailbox.uid_next, until))
    connection.execute(_SET_RECENT, {"of_account": account_id, "of_mailbox": mailbox_id, "first_recent": first_after})
    return Recent(mailbox.first_recent_uid, first_after)


def _first_after(uid_next: Uid, until: Uid | None) -> Uid:
    """The first \\Recent UID once those below `until`, or all, are taken."""
    return uid_next if until is None else min(until, uid_next)


def _move_inbox(connection: Connection, account_id: AccountId, new_name: str) -> Committed[None]:
    create_mailbox(connection, account_id, new_name, "")
    inbox = lock_by_name(connection, account_id, INBOX)
    uids = connection.scalars(_ALL_UIDS, {"of_account": account_id, "of_mailbox": inbox.id}).all()
    moved = move(connection, account_id, inbox.id, uids, new_name)
    return Committed(None, moved.deltas, move=moved.move)
