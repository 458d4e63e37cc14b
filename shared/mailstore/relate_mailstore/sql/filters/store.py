"""`SqlFilters`: the filters of accounts, which deliveries read in their transactions (`rows.read_enabled`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from relate_mailstore.errors import FilterNotFound, LabelNotFound, TooManyFilters
from relate_mailstore.filter_rules import MAX_FILTERS, meeting_header, meets, moved_priorities
from relate_mailstore.filter_types import Conditions, Filter, FilterId, FilterRule, Trial
from relate_mailstore.identifiers import AccountId, MessageId, generate_message_ids
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.filters.rows import parse_filter, rule_row
from relate_mailstore.sql.mailboxes import lock_namespace
from relate_mailstore.sql.schema.tables import filters, labels
from relate_mailstore.types import MessagePage, MessageQuery

_OF_ACCOUNT = select(filters).where(filters.c.account_id == bindparam("account_id"))
_ALL = _OF_ACCOUNT.order_by(filters.c.priority, filters.c.id)
_ONE = _OF_ACCOUNT.where(filters.c.id == bindparam("filter_id"))
_IS_LABEL = select(labels.c.id).where(
    labels.c.account_id == bindparam("account_id"), labels.c.id == bindparam("label_id")
)
_ADD = insert(filters)
_THIS = filters.c.account_id == bindparam("of_account"), filters.c.id == bindparam("of_filter")
_CHANGE = (
    update(filters)
    .where(*_THIS)
    .values({name: bindparam(name) for name in rule_row(FilterRule(""))})
    .returning(filters.c.id)
)
_SET_PRIORITY = update(filters).where(*_THIS).values(priority=bindparam("new_priority"))
_REMOVE = delete(filters).where(*_THIS).returning(filters.c.id)
_REMOVE_ALL = delete(filters).where(filters.c.account_id == bindparam("of_account"))

Find = Callable[[AccountId, MessageQuery], Awaitable[MessagePage]]
ReadText = Callable[[AccountId, MessageId], Awaitable[str]]


class SqlFilters:
    """`Filters` on a database. `find` lists messages, `read_text` gives the folded text of a message's body."""

    def __init__(self, database: Database, transact: Transact, find: Find, read_text: ReadText) -> None:
        self._database = database
        self._transact = transact
        self._find = find
        self._read_text = read_text
        self._ids = generate_message_ids()

    async def all(self, account_id: AccountId) -> Sequence[Filter]:
        """All filters in the order in which they act."""
        return [*map(parse_filter, await self._database.fetch(_ALL, {"account_id": account_id}))]

    async def find(self, account_id: AccountId, filter_id: FilterId) -> Filter:
        """The filter with this id."""
        rows = await self._database.fetch(_ONE, {"account_id": account_id, "filter_id": filter_id})
        if not rows:
            raise FilterNotFound(f"filter {filter_id}")
        return parse_filter(rows[0])

    async def add(self, account_id: AccountId, rule: FilterRule) -> Filter:
        """Store a filter."""
        added = Filter(FilterId(next(self._ids)), rule)
        await self._transact(partial(_add, account_id=account_id, added=added))
        return await self.find(account_id, added.id)

    async def change(self, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> Filter:
        """Replace the rule of a filter."""
        await self._transact(partial(_change, account_id=account_id, filter_id=filter_id, rule=rule))
        return await self.find(account_id, filter_id)

    async def remove(self, account_id: AccountId, filter_id: FilterId) -> None:
        """Remove a filter."""
        parameters = {"of_account": account_id, "of_filter": filter_id}
        if not await self._transact(partial(run, statement=_REMOVE, parameters=parameters)):
            raise FilterNotFound(f"filter {filter_id}")

    async def move(self, account_id: AccountId, filter_id: FilterId, places: int) -> None:
        """Change the order."""
        await self._transact(partial(_move, account_id=account_id, filter_id=filter_id, places=places))

    async def test(self, account_id: AccountId, conditions: Conditions, limit: int) -> Trial:
        """Evaluate conditions for the newest messages; texts are read one at a time, and where the header matches."""
        page = await self._find(account_id, MessageQuery(mailbox=None, limit=limit))
        indexes = {listed.message.id: listed.message.index for listed in page.items}
        found = await asyncio.to_thread(meeting_header, conditions, indexes)
        if not conditions.body:
            return Trial(len(indexes), tuple(found))
        matching = [
            message_id
            for message_id, fields in found.items()
            if meets(conditions, fields, (await self._read_text(account_id, message_id)).__contains__)
        ]
        return Trial(len(indexes), tuple(matching))

    async def erase(self, account_id: AccountId) -> None:
        """Remove all filters of an account."""
        await self._transact(partial(run, statement=_REMOVE_ALL, parameters={"of_account": account_id}))


def _add(connection: Connection, account_id: AccountId, added: Filter) -> None:
    lock_namespace(connection, account_id)  # so that concurrent calls do not exceed the limit
    if len(run(connection, _ALL, {"account_id": account_id})) >= MAX_FILTERS:
        raise TooManyFilters(f"{MAX_FILTERS} filters")
    _expect_label(connection, account_id, added.rule)
    row = {"account_id": account_id, "id": added.id, "times_applied": 0, "last_applied": None}
    run(connection, _ADD, {**row, **rule_row(added.rule)})


def _change(connection: Connection, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> None:
    _expect_label(connection, account_id, rule)
    parameters = {"of_account": account_id, "of_filter": filter_id, **rule_row(rule)}
    if not run(connection, _CHANGE, parameters):
        raise FilterNotFound(f"filter {filter_id}")


def _move(connection: Connection, account_id: AccountId, filter_id: FilterId, places: int) -> None:
    lock_namespace(connection, account_id)  # so that concurrent calls do not mix two orders
    known = [*map(parse_filter, run(connection, _ALL, {"account_id": account_id}))]
    for each, priority in moved_priorities(known, filter_id, places).items():
        run(connection, _SET_PRIORITY, {"of_account": account_id, "of_filter": each, "new_priority": priority})


def _expect_label(connection: Connection, account_id: AccountId, rule: FilterRule) -> None:
    label_id = rule.actions.label_id
    if label_id is not None and not run(connection, _IS_LABEL, {"account_id": account_id, "label_id": label_id}):
        raise LabelNotFound(f"label {label_id}")
