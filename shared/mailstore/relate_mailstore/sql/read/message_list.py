"""Pages of message lists, in two queries for any length: by keyset pagination, or by offset for page numbers."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, Uuid, bindparam, func, select, tuple_
from sqlalchemy import text as sql

from relate_mailstore.cursors import encode_cursor, parse_cursor
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.listing import MAX_SENDERS, PlacedEntry, criteria_of, merge_entries
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, ids, one_of
from relate_mailstore.sql.read.criteria import compile_criterion
from relate_mailstore.sql.schema.rows import parse_message, storable, stored_name, unpack_keywords
from relate_mailstore.sql.schema.tables import IS_UNREAD, entries, mailboxes, messages
from relate_mailstore.types import (
    AccountId,
    ListedMessage,
    Message,
    MessageCounts,
    MessageId,
    MessagePage,
    MessageQuery,
)

MAX_PAGE_MESSAGES = 1_000  # whatever limit the caller gives, because a page is built in memory

_MESSAGE = select(messages).where(
    messages.c.account_id == bindparam("account_id"), messages.c.id == bindparam("message_id")
)
_PLACES = (
    select(entries.c.message_id, entries.c.flags, entries.c.keywords, mailboxes.c.name)
    .join(mailboxes, (mailboxes.c.id == entries.c.mailbox_id) & (mailboxes.c.account_id == entries.c.account_id))
    .where(one_of(entries.c.message_id, ids("message_ids")))
    # `+ 0` keeps SQLite from choosing the account's index, with all its rows.
    .where(entries.c.account_id + 0 == bindparam("account_id"))
)
_OF_ACCOUNT = select(messages).where(messages.c.account_id == bindparam("account_id"))
_ORDERED = {
    True: _OF_ACCOUNT.order_by(messages.c.received, messages.c.id),
    False: _OF_ACCOUNT.order_by(messages.c.received.desc(), messages.c.id.desc()),
}
_POSITION = tuple_(messages.c.received, messages.c.id)
_LAST = tuple_(bindparam("last_received", type_=BigInteger), bindparam("last_id", type_=Uuid))
_MAILBOX_ID = (
    select(mailboxes.c.id)
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.name == bindparam("mailbox"))
    .scalar_subquery()
)
# SQLite must be told to use the index of unread entries, because it prefers the key, and would read the whole mailbox.
_INDEXED_BY = {POSTGRESQL: "", SQLITE: "INDEXED BY ix_entries_unread"}
_COUNT_UNREAD = {
    dialect: f"SELECT count(DISTINCT message_id) FROM entries {hint} WHERE account_id = :account_id AND {IS_UNREAD}"  # noqa: S608 - of constants
    for dialect, hint in _INDEXED_BY.items()
}
_UNREAD = {dialect: sql(statement) for dialect, statement in _COUNT_UNREAD.items()}
_STATUS = {
    dialect: sql(
        f"SELECT mailboxes.messages, ({statement} AND mailbox_id = mailboxes.id)"  # noqa: S608 - of constants
        " FROM mailboxes WHERE mailboxes.account_id = :account_id AND mailboxes.name = :mailbox"
    )
    for dialect, statement in _COUNT_UNREAD.items()
}
_COUNT = select(func.count()).select_from(messages).where(messages.c.account_id == bindparam("account_id"))
_SENDERS = (
    select(messages.c.sender_address)
    .distinct()
    .join_from(
        entries, messages, (messages.c.id == entries.c.message_id) & (messages.c.account_id == entries.c.account_id)
    )
    .where(entries.c.account_id == bindparam("account_id"), messages.c.sender_address != "")
    .where(entries.c.mailbox_id == _MAILBOX_ID)
    .order_by(messages.c.sender_address)
    .limit(MAX_SENDERS)
)


async def find_message(database: Database, account_id: AccountId, message_id: MessageId) -> ListedMessage:
    """One message with its index and flags. Raises MessageNotFound."""
    rows = await database.fetch(_MESSAGE, {"account_id": account_id, "message_id": message_id})
    listed = await _list(database, account_id, rows)
    if not listed or not listed[0].mailboxes:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    return listed[0]


def compose_page(query: MessageQuery) -> Select[Any]:
    """The SELECT of a page; its parameters are `account_id`, `rows`, and those of its cursor or offset."""
    statement = _ORDERED[query.oldest_first].where(*_conditions(query)).limit(bindparam("rows"))
    if query.cursor is not None:
        return statement.where(_POSITION > _LAST if query.oldest_first else _POSITION < _LAST)
    return statement.offset(bindparam("offset")) if query.offset else statement


async def find_page(database: Database, account_id: AccountId, query: MessageQuery) -> MessagePage:
    """One page of the messages that match. Raises ValueError for an invalid cursor."""
    limit = max(1, min(query.limit, MAX_PAGE_MESSAGES))
    parameters: dict[str, Any] = {"account_id": account_id, "rows": limit + 1, "offset": query.offset}
    if query.cursor is not None:
        parameters["last_received"], parameters["last_id"] = parse_cursor(query.cursor)
    rows = await database.fetch_composed(compose_page(query), parameters)
    listed = await _list(database, account_id, rows[:limit])
    # A message that was deleted since the first query is in no mailbox. The next page still starts after it.
    items = tuple(row for row in listed if row.mailboxes)
    return MessagePage(items, encode_cursor(listed[-1]) if len(rows) > limit else None)


def compose_count(query: MessageQuery) -> Select[Any]:
    """The SELECT of the number of messages that match; its parameter is `account_id`."""
    return _COUNT.where(*_conditions(query))


async def count_messages(database: Database, account_id: AccountId, query: MessageQuery) -> MessageCounts:
    """How many messages match, and how many of the query's mailbox (or of all) are unread."""
    parameters = {"account_id": account_id}
    if query.mailbox is None:
        ((unread,),) = await database.fetch(_UNREAD[database.dialect], parameters)
    else:
        status = await database.fetch(_STATUS[database.dialect], {**parameters, "mailbox": stored_name(query.mailbox)})
        whole, unread = status[0] if status else (0, 0)
        if query.is_whole_mailbox:
            return MessageCounts(whole, unread)
    (counted,) = await database.fetch_composed(compose_count(query), parameters)
    return MessageCounts(counted[0], unread)


async def list_senders(database: Database, account_id: AccountId, mailbox: str) -> Sequence[str]:
    """The distinct addresses of senders in a mailbox, sorted."""
    rows = await database.fetch(_SENDERS, {"account_id": account_id, "mailbox": stored_name(mailbox)})
    return sorted(row.sender_address for row in rows)


def _conditions(query: MessageQuery) -> list[ColumnElement[bool]]:
    conditions = [compile_criterion(criterion) for criterion in criteria_of(query)]
    return conditions if query.thread is None else [messages.c.thread == storable(query.thread), *conditions]


async def _list(database: Database, account_id: AccountId, rows: Sequence[Row[Any]]) -> Sequence[ListedMessage]:
    """The messages with the flags and names of all mailboxes in which they have entries."""
    if not rows:
        return ()
    places: defaultdict[MessageId, list[Row[Any]]] = defaultdict(list)
    parameters = {"account_id": account_id, "message_ids": [row.id for row in rows]}
    for place in await database.fetch(_PLACES, parameters):
        places[place.message_id].append(place)
    return [_merge(parse_message(row), places[row.id]) for row in rows]


def _merge(message: Message, places: Sequence[Row[Any]]) -> ListedMessage:
    entered = [PlacedEntry(place.name, place.flags, unpack_keywords(place.keywords)) for place in places]
    return ListedMessage(message, *merge_entries(entered))
