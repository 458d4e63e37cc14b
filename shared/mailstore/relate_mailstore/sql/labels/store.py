"""`SqlLabels`: names, colours and order of the keywords of accounts."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, insert, select, text, tuple_, update

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.filter_types import Label, LabelId, LabelStyle
from relate_mailstore.identifiers import AccountId, MailboxId, Uid
from relate_mailstore.keywords import key_of, one_spelling
from relate_mailstore.label_rules import all_labels, check_label_limit, check_style, find_label, name_key, new_label
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import has_word
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.mailboxes import lock_namespace
from relate_mailstore.sql.schema.rows import storable, unpack_keywords
from relate_mailstore.sql.schema.tables import entries, labels
from relate_mailstore.types import FlagChange, Flagged

BATCH_ENTRIES = 1_000  # whose keyword is removed at a time

_STORED = select(labels).where(labels.c.account_id == bindparam("account_id"))
_IS_LABELLED = text("entries.keywords <> ''")  # as in the index
_IN_USE = select(entries.c.keywords).where(entries.c.account_id == bindparam("account_id"), _IS_LABELLED).distinct()
_WITH_KEYWORD = (
    select(entries.c.mailbox_id, entries.c.uid)
    .where(
        entries.c.account_id == bindparam("account_id"),
        _IS_LABELLED,
        tuple_(entries.c.mailbox_id, entries.c.uid)
        > tuple_(bindparam("last_mailbox", type_=BigInteger), bindparam("last_uid", type_=BigInteger)),
        has_word(func.lower(entries.c.keywords), bindparam("keyword", type_=Text)),
    )
    .order_by(entries.c.mailbox_id, entries.c.uid)
    .limit(bindparam("rows"))
)
_ADD = insert(labels)
_THIS = labels.c.account_id == bindparam("of_account"), labels.c.id == bindparam("of_label")
_CHANGE = (
    update(labels)
    .where(*_THIS)
    .values(
        name=bindparam("new_name"),
        name_key=bindparam("new_name_key"),
        color=bindparam("new_color"),
        sort_order=bindparam("new_sort_order"),
    )
)
_REMOVE = delete(labels).where(*_THIS)
_REMOVE_ALL = delete(labels).where(labels.c.account_id == bindparam("of_account"))

SetFlags = Callable[[AccountId, MailboxId, Collection[Uid], FlagChange], Awaitable[Flagged]]


class SqlLabels:
    """`Labels` on a database. `set_flags` changes entries and tells sessions of it."""

    def __init__(self, database: Database, transact: Transact, set_flags: SetFlags) -> None:
        self._database = database
        self._transact = transact
        self._set_flags = set_flags

    async def all(self, account_id: AccountId) -> Sequence[Label]:
        """The stored labels and other keywords."""
        parameters = {"account_id": account_id}
        stored = [*map(_parse, await self._database.fetch(_STORED, parameters))]
        return all_labels(account_id, stored, _keywords(await self._database.fetch(_IN_USE, parameters)))

    async def find(self, account_id: AccountId, label_id: LabelId) -> Label:
        """The label with this id, stored or not."""
        return find_label(await self.all(account_id), label_id)

    async def add(self, account_id: AccountId, style: LabelStyle) -> Label:
        """Store a label with its keyword."""
        return await self._transact(partial(_add, account_id=account_id, style=style))

    async def change(self, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
        """Change a label, or store that of a keyword."""
        return await self._transact(partial(_change, account_id=account_id, label_id=label_id, style=style))

    async def remove(self, account_id: AccountId, label_id: LabelId) -> None:
        """Remove a label, so that filters no longer add its keyword, and then the keyword."""
        label = await self.find(account_id, label_id)
        parameters = {"of_account": account_id, "of_label": label_id}
        await self._transact(partial(run, statement=_REMOVE, parameters=parameters))
        await self._remove_keyword(account_id, label.keyword)

    async def erase(self, account_id: AccountId) -> None:
        """Forget the stored labels."""
        await self._transact(partial(run, statement=_REMOVE_ALL, parameters={"of_account": account_id}))

    async def _remove_keyword(self, account_id: AccountId, keyword: str) -> None:
        change = FlagChange(remove_keywords=(keyword,))
        parameters = {"account_id": account_id, "keyword": key_of(keyword), "rows": BATCH_ENTRIES}
        last = {"last_mailbox": 0, "last_uid": 0}
        while rows := await self._database.fetch(_WITH_KEYWORD, {**parameters, **last}):
            uids: defaultdict[MailboxId, list[Uid]] = defaultdict(list)
            for row in rows:
                uids[row.mailbox_id].append(row.uid)
            for mailbox_id, of_mailbox in uids.items():
                try:
                    await self._set_flags(account_id, mailbox_id, of_mailbox, change)
                except MailboxNotFound:
                    continue  # it was deleted meanwhile, with its entries
            last = {"last_mailbox": rows[-1].mailbox_id, "last_uid": rows[-1].uid}


def _add(connection: Connection, account_id: AccountId, style: LabelStyle) -> Label:
    label = new_label(account_id, style, _lock_all(connection, account_id))
    run(connection, _ADD, _row(account_id, label))
    return label


def _change(connection: Connection, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
    known = _lock_all(connection, account_id)
    before = find_label(known, label_id)
    check_style(style, known, changed=label_id)
    label = Label(label_id, before.keyword, style)
    if before.is_stored:
        row = {f"new_{name}": value for name, value in _style_row(style).items()}
        run(connection, _CHANGE, {"of_account": account_id, "of_label": label_id, **row})
    else:
        check_label_limit(known)
        run(connection, _ADD, _row(account_id, label))
    return label


def _lock_all(connection: Connection, account_id: AccountId) -> Sequence[Label]:
    """All labels of an account, in a transaction beside which no other adds any."""
    lock_namespace(connection, account_id)
    parameters = {"account_id": account_id}
    stored = [*map(_parse, run(connection, _STORED, parameters))]
    return all_labels(account_id, stored, _keywords(run(connection, _IN_USE, parameters)))


def _keywords(rows: Sequence[Any]) -> Sequence[str]:
    return one_spelling(sorted(set(chain.from_iterable(unpack_keywords(row.keywords) for row in rows))))


def _row(account_id: AccountId, label: Label) -> dict[str, object]:
    return {"account_id": account_id, "id": label.id, "keyword": label.keyword, **_style_row(label.style)}


def _style_row(style: LabelStyle) -> dict[str, object]:
    return {
        "name": storable(style.name),
        "name_key": storable(name_key(style.name)),
        "color": style.color,
        "sort_order": style.sort_order,
    }


def _parse(row: Any) -> Label:
    return Label(LabelId(row.id), row.keyword, LabelStyle(row.name, row.color, row.sort_order))
