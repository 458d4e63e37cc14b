"""Rows of mailboxes: finding them, making them, locking them.

Whoever changes a mailbox locks its row first, and several in the order of their ids: so writers never deadlock, and
modseqs become visible in the order in which they were given.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

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
from relate_mailstore.identifiers import allocate_uid
from relate_mailstore.mailbox_names import DEFAULT_MAILBOXES, canonical_name, name_order
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, insert_once, numbers, one_of, texts
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.rows import MAILBOX_COLUMNS, parse_mailbox, stored_name
from relate_mailstore.sql.schema.tables import mailboxes, namespaces, subscriptions
from relate_mailstore.types import INBOX, AccountId, Destination, Entry, Mailbox, MailboxId, MailboxNotice

FIRST_MODSEQ = 1  # of a mailbox to which nothing has happened; the least that RFC 7162 §3.1 allows

Place = tuple[AccountId, str]
"""A mailbox by its account and canonical name."""

Key = tuple[AccountId, MailboxId]
"""A mailbox by its account and id."""

_OF_ACCOUNT = select(*MAILBOX_COLUMNS).where(mailboxes.c.account_id == bindparam("account_id"))
_BY_NAME = _OF_ACCOUNT.where(mailboxes.c.name == bindparam("name"))
# Each account with each name: more than was asked for where names differ, which they hardly ever do.
_BY_PLACES = select(*MAILBOX_COLUMNS).where(
    one_of(mailboxes.c.account_id, numbers("accounts")), one_of(mailboxes.c.name, texts("names"))
)
_LOCK_BY_ID = _OF_ACCOUNT.where(mailboxes.c.id == bindparam("mailbox_id")).with_for_update()
_LOCK_BY_NAME = _OF_ACCOUNT.where(mailboxes.c.name == bindparam("name")).with_for_update()
_LOCK_PAIR = (
    _OF_ACCOUNT.where(or_(mailboxes.c.id == bindparam("mailbox_id"), mailboxes.c.name == bindparam("name")))
    .order_by(mailboxes.c.id)
    .with_for_update()
)
_LOCK_SEVERAL = (
    select(*MAILBOX_COLUMNS)
    .where(one_of(mailboxes.c.account_id, numbers("accounts")), one_of(mailboxes.c.id, numbers("mailboxes")))
    .order_by(mailboxes.c.id)
    .with_for_update()
)
# Flags are not mail: their transactions wait for no disk (docs/decisions/0007). Asked for here, it costs no round trip.
_LOCK_RELAXED = {
    POSTGRESQL: _LOCK_SEVERAL.add_columns(func.set_config("synchronous_commit", "off", true())),
    SQLITE: _LOCK_SEVERAL,
}
_LOCK_ALL = _OF_ACCOUNT.order_by(mailboxes.c.id).with_for_update()
_LOCK_PLACES = _BY_PLACES.order_by(mailboxes.c.id).with_for_update()
_LOCK_WITH_ACCOUNTS = (
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
_SUBSCRIBE = insert_once(subscriptions, "account_id", "name")
STEP: Mapping[str, TypeEngine[Any]] = {
    "of_account": BigInteger(),
    "of_mailbox": BigInteger(),
    "modseq": BigInteger(),
    "arrived": BigInteger(),
    "more_messages": BigInteger(),
    "more_octets": BigInteger(),
    "moment": Double(),
    "last_origin": Text(),
}
"""The values of `Step.row`."""


def advanced_by(step: Mapping[str, Any]) -> Update:
    """The statement that advances mailboxes; the values of `Step.row` are parameters or columns."""
    return (
        update(mailboxes)
        .where(mailboxes.c.account_id == step["of_account"], mailboxes.c.id == step["of_mailbox"])
        .values(
            highest_modseq=step["modseq"],
            uid_next=mailboxes.c.uid_next + step["arrived"],
            messages=mailboxes.c.messages + step["more_messages"],
            octets=mailboxes.c.octets + step["more_octets"],
            changed=step["moment"],
            origin=step["last_origin"],
        )
    )


_ADVANCE = advanced_by({name: bindparam(name, type_=kind) for name, kind in STEP.items()})


@dataclass(slots=True)
class Step:
    """A locked mailbox, and what a transaction does to it: one modseq further, entries and octets more or less."""

    mailbox: Mailbox
    taken: bool = False
    arrived: int = 0
    messages: int = 0
    octets: int = 0
    origin: str | None = None  # of the delivery that arrived last
    modseqs: int = 1  # that it takes: changes of the same entry have one each
    entries: list[Entry] = field(default_factory=list)  # that are new or changed, as they are after it
    gone: list[int] = field(default_factory=list)  # UIDs
    whole: bool = True  # this is all that it does
    moment: float = field(default_factory=time.time)  # seconds since the epoch

    @property
    def modseq(self) -> int:
        """The modseq that everything has that this step changes, or the last of them.

        Milliseconds at least: one that was lost with a change of flags (docs/decisions/0007) is never given again.
        """
        return max(self.mailbox.highest_modseq + 1, int(self.moment * 1000)) + self.modseqs - 1

    @property
    def change(self) -> MailboxNotice:
        """The notice of this step."""
        return MailboxNotice(self.mailbox.account_id, self.mailbox.id, self.modseq, self.origin, self.moment)

    def arrive(self, size: int, origin: str | None) -> int:
        """A message of `size` octets arrives; its UID. Raises MailboxFull."""
        uid = allocate_uid(self.mailbox.uid_next + self.arrived)
        self.taken = True
        self.arrived += 1
        self.messages += 1
        self.octets += size
        self.origin = origin
        return uid

    def leave(self, uids: Collection[int], size: int) -> None:
        """Entries of `size` octets together are removed."""
        self.taken = True
        self.gone += uids
        self.messages -= len(uids)
        self.octets -= size

    def apply(self, before: Mailbox) -> Mailbox:
        """What a mailbox is after this, having been what it was when it was locked."""
        return replace(
            before,
            uid_next=before.uid_next + self.arrived,
            highest_modseq=self.modseq,
            messages=before.messages + self.messages,
            octets=before.octets + self.octets,
        )

    def row(self) -> dict[str, object]:
        """What `advanced_by` takes."""
        return {
            "of_account": self.mailbox.account_id,
            "of_mailbox": self.mailbox.id,
            "modseq": self.modseq,
            "arrived": self.arrived,
            "more_messages": self.messages,
            "more_octets": self.octets,
            "moment": self.moment,
            "last_origin": self.origin,
        }


async def find_mailbox(database: Database, account_id: AccountId, name: str) -> Mailbox:
    """One mailbox by name. Raises MailboxNotFound."""
    rows = await database.fetch(_BY_NAME, {"account_id": account_id, "name": stored_name(name)})
    if not rows:
        raise MailboxNotFound(f"account {account_id}")
    return parse_mailbox(rows[0])


async def find_mailboxes(database: Database, places: Sequence[Place]) -> Sequence[Mailbox | None]:
    """Several mailboxes, of several accounts; None where there is none."""
    rows = await database.glance(_BY_PLACES, _of_places(places))
    found = {(row.account_id, row.name): parse_mailbox(row) for row in rows}
    return [found.get(place) for place in places]


async def list_mailboxes(database: Database, account_id: AccountId) -> Sequence[Mailbox]:
    """All mailboxes of an account, by name, INBOX first."""
    rows = await database.fetch(_OF_ACCOUNT, {"account_id": account_id})
    return sorted(map(parse_mailbox, rows), key=lambda mailbox: name_order(mailbox.name))


async def provision(database: Database, account_id: AccountId) -> None:
    """Give an account INBOX and the special-use mailboxes, unless it has an INBOX."""
    if not await database.fetch(_BY_NAME, {"account_id": account_id, "name": INBOX}):
        await database.transact(partial(_provision, account_id=account_id))


async def provision_for(database: Database, destinations: Iterable[Destination]) -> None:
    """Provision accounts that mail goes to. Raises MailboxNotFound, with nobody provisioned, if that would not help."""
    accounts = set()
    for destination in destinations:
        accounts.add(destination.account_id)
        if canonical_name(destination.mailbox) not in DEFAULT_MAILBOXES:
            await find_mailbox(database, destination.account_id, destination.mailbox)
    for account_id in accounts:
        await provision(database, account_id)


def lock_mailbox(connection: Connection, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
    """One mailbox, locked. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id}
    row = connection.execute(_LOCK_BY_ID, parameters).one_or_none()
    if row is None:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    return parse_mailbox(row)


def lock_named(connection: Connection, account_id: AccountId, name: str) -> Mailbox:
    """One mailbox by name, locked. Raises MailboxNotFound."""
    row = connection.execute(_LOCK_BY_NAME, {"account_id": account_id, "name": stored_name(name)}).one_or_none()
    if row is None:
        raise MailboxNotFound(f"account {account_id}")
    return parse_mailbox(row)


def lock_pair(
    connection: Connection, account_id: AccountId, mailbox_id: MailboxId, name: str
) -> tuple[Mailbox, Mailbox]:
    """Two mailboxes, by id and by name, locked; they may be the same one. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id, "name": stored_name(name)}
    found = [parse_mailbox(row) for row in connection.execute(_LOCK_PAIR, parameters)]
    return find_pair(found, account_id, mailbox_id, name)


def find_pair(
    found: Iterable[Mailbox], account_id: AccountId, mailbox_id: MailboxId, name: str
) -> tuple[Mailbox, Mailbox]:
    """Of mailboxes of one account, that of an id and that of a name. Raises MailboxNotFound."""
    by_id, by_name = {mailbox.id: mailbox for mailbox in found}, stored_name(name)
    one = by_id.get(mailbox_id)
    other = next((mailbox for mailbox in by_id.values() if mailbox.name == by_name), None)
    if one is None or other is None:
        raise MailboxNotFound(f"account {account_id}")
    return one, other


def lock_relaxed(connection: Connection, wanted: Collection[Key]) -> Mapping[Key, Mailbox]:
    """Those of these mailboxes that exist, locked, in a transaction that may be lost with the power."""
    parameters = {"accounts": {account for account, _ in wanted}, "mailboxes": {mailbox for _, mailbox in wanted}}
    statement = _LOCK_RELAXED[connection.dialect.name]
    # On PostgreSQL it is SQLAlchemy that begins, with the first statement that it executes.
    begun = connection.dialect.name == SQLITE
    rows = run(connection, statement, parameters) if begun else connection.execute(statement, parameters)
    return {(row.account_id, row.id): parse_mailbox(row[: len(MAILBOX_COLUMNS)]) for row in rows}


def lock_account(connection: Connection, account_id: AccountId) -> Mapping[MailboxId, Mailbox]:
    """All mailboxes of an account, locked."""
    rows = connection.execute(_LOCK_ALL, {"account_id": account_id})
    return {row.id: parse_mailbox(row) for row in rows}


def lock_places(
    connection: Connection, places: Collection[Place], whole_accounts: Collection[AccountId] = ()
) -> Mapping[Place, Mailbox]:
    """Those of these mailboxes that exist and all of some accounts, locked, and possibly others."""
    if whole_accounts:
        parameters = {**_of_places(places), "whole_accounts": whole_accounts}
        rows = connection.execute(_LOCK_WITH_ACCOUNTS, parameters)
    else:
        rows = connection.execute(_LOCK_PLACES, _of_places(places))
    return {(row.account_id, row.name): parse_mailbox(row) for row in rows}


def _of_places(places: Iterable[Place]) -> dict[str, object]:
    return {"accounts": {account for account, _ in places}, "names": {name for _, name in places}}


def advance(connection: Connection, steps: Collection[Step]) -> None:
    """Write what the steps did to their mailboxes' rows."""
    run_many(connection, _ADVANCE, [step.row() for step in steps])


def lock_namespace(connection: Connection, account_id: AccountId) -> int:
    """Lock the account against others who make, delete or rename mailboxes; its newest UIDVALIDITY."""
    parameters = {"account_id": account_id}
    newest: int | None = connection.scalar(_LOCK_NAMESPACE, parameters)
    if newest is None:
        connection.execute(_ADD_NAMESPACE[connection.dialect.name], {**parameters, "uid_validity": 0})
        newest = connection.scalar(_LOCK_NAMESPACE, parameters)
    return newest or 0


def add_mailboxes(connection: Connection, account_id: AccountId, newest: int, special_uses: Mapping[str, str]) -> None:
    """Make mailboxes, by name with their special uses, in a locked account whose newest UIDVALIDITY is `newest`.

    UIDVALIDITY is unique and ascending within the account, though a mailbox be deleted and made anew in one second.
    """
    first = max(newest + 1, int(time.time()))
    rows = [
        _new_row(account_id, name, special_use, first + number)
        for number, (name, special_use) in enumerate(special_uses.items())
    ]
    connection.execute(_ADD, rows)
    connection.execute(_SET_UID_VALIDITY, {"of_account": account_id, "newest": first + len(rows) - 1})


def _provision(connection: Connection, account_id: AccountId) -> None:
    newest = lock_namespace(connection, account_id)
    if connection.execute(_BY_NAME, {"account_id": account_id, "name": INBOX}).one_or_none() is None:
        add_mailboxes(connection, account_id, newest, DEFAULT_MAILBOXES)
        names = [{"account_id": account_id, "name": name} for name in DEFAULT_MAILBOXES]
        connection.execute(_SUBSCRIBE[connection.dialect.name], names)


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
