"""Rows of mailboxes: look-ups, locks, creation.

A transaction that changes mailboxes locks their rows first, in the order of their ids. So writers never deadlock, and
modseqs become visible in the order in which they were assigned.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Text,
    Update,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.types import TypeEngine

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.mailbox_names import find_name, name_order
from relate_mailstore.sql.deltas import MailboxDelta, MailboxKey, MailboxName
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, insert_once, numbers, one_of, texts
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.rows import MAILBOX_COLUMNS, parse_mailbox, stored_name
from relate_mailstore.sql.schema.tables import mailboxes, namespaces
from relate_mailstore.types import AccountId, Mailbox, MailboxId, ModSeq

FIRST_MODSEQ = ModSeq(1)  # of a new mailbox; the least that RFC 7162 §3.1 allows

T = TypeVar("T")

_OF_ACCOUNT = select(*MAILBOX_COLUMNS).where(mailboxes.c.account_id == bindparam("account_id"))
_BY_NAME = _OF_ACCOUNT.where(mailboxes.c.name == bindparam("name"))
# Matches each account with each name: a few rows too many where names differ, which is rare.
_BY_NAMES = select(*MAILBOX_COLUMNS).where(
    one_of(mailboxes.c.account_id, numbers("accounts")), one_of(mailboxes.c.name, texts("names"))
)
_LOCK_BY_ID = _OF_ACCOUNT.where(mailboxes.c.id == bindparam("mailbox_id")).with_for_update()
_LOCK_BY_NAME = _BY_NAME.with_for_update()
_LOCK_PAIR = (
    _OF_ACCOUNT.where(or_(mailboxes.c.id == bindparam("mailbox_id"), mailboxes.c.name == bindparam("name")))
    .order_by(mailboxes.c.id)
    .with_for_update()
)
_LOCK_BY_KEYS = (
    select(*MAILBOX_COLUMNS)
    .where(one_of(mailboxes.c.account_id, numbers("accounts")), one_of(mailboxes.c.id, numbers("mailboxes")))
    .order_by(mailboxes.c.id)
    .with_for_update()
)
# Set in the same statement, asynchronous commit costs no round trip of its own.
_LOCK_WITH_ASYNCHRONOUS_COMMIT = {
    POSTGRESQL: _LOCK_BY_KEYS.add_columns(func.set_config("synchronous_commit", "off", true())),
    SQLITE: _LOCK_BY_KEYS,
}
_LOCK_ACCOUNT = _OF_ACCOUNT.order_by(mailboxes.c.id).with_for_update()
_LOCK_BY_NAMES = _BY_NAMES.order_by(mailboxes.c.id).with_for_update()
_LOCK_BY_NAMES_AND_ACCOUNTS = (
    select(*MAILBOX_COLUMNS)
    .where(
        or_(
            and_(one_of(mailboxes.c.account_id, numbers("accounts")), one_of(mailboxes.c.name, texts("names"))),
            one_of(mailboxes.c.account_id, numbers("whole_accounts")),
        )
    )
    .order_by(mailboxes.c.id)
    .with_for_update()
)
_ADD_NAMESPACE = insert_once(namespaces, "account_id")
_LOCK_NAMESPACE = (
    select(namespaces.c.uid_validity).where(namespaces.c.account_id == bindparam("account_id")).with_for_update()
)
_SET_UID_VALIDITY = (
    update(namespaces)
    .where(namespaces.c.account_id == bindparam("of_account"))
    .values(uid_validity=bindparam("newest"))
)
_ADD = insert(mailboxes)

DELTA_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "of_account": BigInteger(),
    "of_mailbox": BigInteger(),
    "modseq": BigInteger(),
    "arrived": BigInteger(),
    "more_messages": BigInteger(),
    "more_octets": BigInteger(),
    "changed_at": Double(),
    "last_origin": Text(),
}
"""What `advance_statement` needs of a delta, as `delta_row` gives it."""


def advance_statement(delta: Mapping[str, Any]) -> Update:
    """The UPDATE that writes deltas to the rows of mailboxes; `delta` maps DELTA_COLUMNS to parameters or columns."""
    return (
        update(mailboxes)
        .where(mailboxes.c.account_id == delta["of_account"], mailboxes.c.id == delta["of_mailbox"])
        .values(
            highest_modseq=delta["modseq"],
            uid_next=mailboxes.c.uid_next + delta["arrived"],
            messages=mailboxes.c.messages + delta["more_messages"],
            octets=mailboxes.c.octets + delta["more_octets"],
            changed=delta["changed_at"],
            origin=delta["last_origin"],
        )
    )


_ADVANCE = advance_statement({name: bindparam(name, type_=kind) for name, kind in DELTA_COLUMNS.items()})


def delta_row(delta: MailboxDelta) -> dict[str, object]:
    """The values of DELTA_COLUMNS."""
    return {
        "of_account": delta.mailbox.account_id,
        "of_mailbox": delta.mailbox.id,
        "modseq": delta.modseq,
        "arrived": delta.arrived,
        "more_messages": delta.messages,
        "more_octets": delta.octets,
        "changed_at": delta.changed_at,
        "last_origin": delta.origin,
    }


def advance(connection: Connection, deltas: Iterable[MailboxDelta]) -> None:
    """Write deltas to the rows of their mailboxes."""
    run_many(connection, _ADVANCE, [delta_row(delta) for delta in deltas])


async def find_mailbox(database: Database, account_id: AccountId, name: str) -> Mailbox:
    """One mailbox by name. Raises MailboxNotFound."""
    rows = await database.fetch(_BY_NAME, {"account_id": account_id, "name": stored_name(name)})
    if not rows:
        raise MailboxNotFound(f"account {account_id}")
    return parse_mailbox(rows[0])


async def find_mailboxes(database: Database, names: Sequence[MailboxName]) -> Sequence[Mailbox | None]:
    """Several mailboxes, possibly of several accounts; None for one that does not exist."""
    rows = await database.fetch_inline(_BY_NAMES, _name_parameters(names))
    found = {(row.account_id, row.name): parse_mailbox(row) for row in rows}
    return [found.get(name) for name in names]


async def list_mailboxes(database: Database, account_id: AccountId) -> Sequence[Mailbox]:
    """All mailboxes of an account, by name, INBOX first."""
    rows = await database.fetch(_OF_ACCOUNT, {"account_id": account_id})
    return sorted(map(parse_mailbox, rows), key=lambda mailbox: name_order(mailbox.name))


async def find_equivalent_name(database: Database, account_id: AccountId, name: str) -> str | None:
    """The name of the mailbox whose name is canonically equivalent to this one (`rules.find_name`), or None.

    An ASCII name has no other normal form and so costs no query.
    """
    if name.isascii():
        return None
    names = [mailbox.name for mailbox in await list_mailboxes(database, account_id)]
    return find_name(names, stored_name(name))


async def retry_with_equivalent_name(
    database: Database, account_id: AccountId, name: str, act: Callable[[str], Awaitable[T]]
) -> T:
    """Await `act(name)`; if it raises MailboxNotFound, `act` with the equivalent name of a mailbox that exists."""
    try:
        return await act(name)
    except MailboxNotFound:
        equivalent = await find_equivalent_name(database, account_id, name)
        if equivalent is None:
            raise
    return await act(equivalent)


def lock_by_id(connection: Connection, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
    """Lock one mailbox by id. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id}
    row = connection.execute(_LOCK_BY_ID, parameters).one_or_none()
    if row is None:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    return parse_mailbox(row)


def lock_by_name(connection: Connection, account_id: AccountId, name: str) -> Mailbox:
    """Lock one mailbox by name. Raises MailboxNotFound."""
    row = connection.execute(_LOCK_BY_NAME, {"account_id": account_id, "name": stored_name(name)}).one_or_none()
    if row is None:
        raise MailboxNotFound(f"account {account_id}")
    return parse_mailbox(row)


def lock_pair(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, name: str
) -> tuple[Mailbox, Mailbox]:
    """Lock a mailbox by id and one by name; they may be the same one. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id, "name": stored_name(name)}
    locked = [parse_mailbox(row) for row in connection.execute(_LOCK_PAIR, parameters)]
    return pick_pair(locked, account_id, mailbox_id, name)


def pick_pair(
    locked: Iterable[Mailbox], account_id: AccountId, mailbox_id: MailboxId, name: str
) -> tuple[Mailbox, Mailbox]:
    """Of an account's mailboxes, the one with this id and the one with this name. Raises MailboxNotFound."""
    by_id, stored = {mailbox.id: mailbox for mailbox in locked}, stored_name(name)
    one = by_id.get(mailbox_id)
    other = next((mailbox for mailbox in by_id.values() if mailbox.name == stored), None)
    if one is None or other is None:
        raise MailboxNotFound(f"account {account_id}")
    return one, other


def lock_with_asynchronous_commit(connection: Connection, keys: Collection[MailboxKey]) -> Mapping[MailboxKey, Mailbox]:
    """Lock the mailboxes that exist, in a transaction whose COMMIT does not wait for the disk (docs/decisions/0007)."""
    parameters = {
        "accounts": {key.account_id for key in keys},
        "mailboxes": {key.mailbox_id for key in keys},
    }
    statement = _LOCK_WITH_ASYNCHRONOUS_COMMIT[connection.dialect.name]
    rows = run(connection, statement, parameters)
    return {MailboxKey(row.account_id, row.id): parse_mailbox(row[: len(MAILBOX_COLUMNS)]) for row in rows}


def lock_account(connection: Connection, account_id: AccountId) -> Mapping[MailboxId, Mailbox]:
    """Lock all mailboxes of an account."""
    rows = connection.execute(_LOCK_ACCOUNT, {"account_id": account_id})
    return {row.id: parse_mailbox(row) for row in rows}


def lock_by_names(
    connection: Connection, names: Collection[MailboxName], whole_accounts: Collection[AccountId] = ()
) -> Mapping[MailboxName, Mailbox]:
    """Lock the mailboxes that exist, and all mailboxes of `whole_accounts`. The result may contain others as well."""
    if whole_accounts:
        parameters = {**_name_parameters(names), "whole_accounts": whole_accounts}
        rows = run(connection, _LOCK_BY_NAMES_AND_ACCOUNTS, parameters)
    else:
        rows = run(connection, _LOCK_BY_NAMES, _name_parameters(names))
    return {MailboxName(row.account_id, row.name): parse_mailbox(row) for row in rows}


def _name_parameters(names: Iterable[MailboxName]) -> dict[str, object]:
    return {"accounts": {one.account_id for one in names}, "names": {one.name for one in names}}


def lock_namespace(connection: Connection, account_id: AccountId) -> int:
    """Lock an account's set of mailbox names, before mailboxes are created, deleted or renamed.

    Returns the newest UIDVALIDITY of the account, 0 for none.
    """
    parameters = {"account_id": account_id}
    newest: int | None = connection.scalar(_LOCK_NAMESPACE, parameters)
    if newest is None:
        connection.execute(_ADD_NAMESPACE[connection.dialect.name], {**parameters, "uid_validity": 0})
        newest = connection.scalar(_LOCK_NAMESPACE, parameters)
    return newest or 0


def add_mailboxes(
    connection: Connection, account_id: AccountId, newest_uid_validity: int, special_uses: Mapping[str, str]
) -> None:
    """Create mailboxes, given as {name: special use}, in an account whose namespace is locked.

    UIDVALIDITY is unique and ascending within the account, even if a mailbox is deleted and created again within a
    second.
    """
    first = max(newest_uid_validity + 1, int(time.time()))
    rows = [
        _new_row(account_id, name, special_use, first + number)
        for number, (name, special_use) in enumerate(special_uses.items())
    ]
    connection.execute(_ADD, rows)
    connection.execute(_SET_UID_VALIDITY, {"of_account": account_id, "newest": first + len(rows) - 1})


def _new_row(account_id: AccountId, name: str, special_use: str, uid_validity: int) -> dict[str, object]:
    return {
        "account_id": account_id,
        "name": name,
        "uid_validity": uid_validity,
        "uid_next": 1,
        "highest_modseq": FIRST_MODSEQ,
        "special_use": special_use,
        "messages": 0,
        "octets": 0,
        "recent": 1,
        "horizon": 0,
        "changed": time.time(),
    }
