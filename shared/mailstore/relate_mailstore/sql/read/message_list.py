"""Pages of message lists: by keyset pagination instead of offsets, in two queries for any length."""

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Text, Uuid, bindparam, exists, func, select, tuple_

from relate_mailstore.cursors import encode_cursor, parse_cursor
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.folding import fold
from relate_mailstore.keywords import one_spelling
from relate_mailstore.mailbox_names import name_order
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import has_text, has_word, ids, one_of
from relate_mailstore.sql.schema.rows import parse_message, storable, stored_name, unpack_keywords
from relate_mailstore.sql.schema.tables import entries, mailboxes, messages
from relate_mailstore.types import AccountId, Flag, ListedMessage, Message, MessageId, MessagePage, MessageQuery

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
_NEWEST_FIRST = (
    select(messages)
    .where(messages.c.account_id == bindparam("account_id"))
    .order_by(messages.c.received.desc(), messages.c.id.desc())
    .limit(bindparam("rows"))
)


def _has_entry(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a message has an entry that meets the conditions."""
    return exists(
        select(1)
        .select_from(entries)
        .where(entries.c.account_id == messages.c.account_id, entries.c.message_id == messages.c.id, *where)
    )


_IN_MAILBOX = _has_entry(
    entries.c.mailbox_id
    == select(mailboxes.c.id)
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.name == bindparam("mailbox"))
    .scalar_subquery()
)
_HAS_TEXT = has_text(messages.c.search, bindparam("text", type_=Text))
_SINCE = messages.c.received >= bindparam("since")
_BEFORE = messages.c.received < bindparam("before")
_IS_SEEN = _has_entry(entries.c.flags.bitwise_and(int(Flag.SEEN)) != 0)
_SEEN = {True: _IS_SEEN, False: ~_IS_SEEN}
_ATTACHMENTS = {True: messages.c.attachments > 0, False: messages.c.attachments == 0}
_KEYWORD = _has_entry(has_word(func.lower(entries.c.keywords), bindparam("keyword", type_=Text)))
_AFTER_CURSOR = tuple_(messages.c.received, messages.c.id) < tuple_(
    bindparam("last_received", type_=BigInteger), bindparam("last_id", type_=Uuid)
)


async def find_message(database: Database, account_id: AccountId, message_id: MessageId) -> ListedMessage:
    """One message with its index and flags. Raises MessageNotFound."""
    rows = await database.fetch(_MESSAGE, {"account_id": account_id, "message_id": message_id})
    listed = await _list(database, account_id, rows)
    if not listed or not listed[0].mailboxes:
        raise MessageNotFound(f"message {message_id} of account {account_id}")
    return listed[0]


async def find_page(database: Database, account_id: AccountId, query: MessageQuery) -> MessagePage:
    """One page of the messages that match, newest first. Raises ValueError for an invalid cursor."""
    limit = max(1, min(query.limit, MAX_PAGE_MESSAGES))
    conditions, parameters = _compose(query)
    statement = _NEWEST_FIRST.where(*conditions)
    rows = await database.fetch_composed(statement, {**parameters, "account_id": account_id, "rows": limit + 1})
    listed = await _list(database, account_id, rows[:limit])
    # A message that was deleted since the first query is in no mailbox. The next page still starts after it.
    items = tuple(row for row in listed if row.mailboxes)
    return MessagePage(items, encode_cursor(listed[-1]) if len(rows) > limit else None)


def _compose(query: MessageQuery) -> tuple[list[ColumnElement[bool]], dict[str, Any]]:
    """The conditions of a query, and their parameters."""
    conditions: list[ColumnElement[bool]] = []
    parameters: dict[str, Any] = {}

    def require(condition: ColumnElement[bool], **values: Any) -> None:
        conditions.append(condition)
        parameters.update(values)

    if query.mailbox is not None:
        require(_IN_MAILBOX, mailbox=stored_name(query.mailbox))
    if query.text:
        require(_HAS_TEXT, text=storable(fold(query.text)))
    if query.since is not None:
        require(_SINCE, since=query.since)
    if query.before is not None:
        require(_BEFORE, before=query.before)
    if query.seen is not None:
        require(_SEEN[query.seen])
    if query.has_attachments is not None:
        require(_ATTACHMENTS[query.has_attachments])
    if query.keyword is not None:
        require(_KEYWORD, keyword=storable(query.keyword.lower()))
    if query.cursor is not None:
        last_received, last_id = parse_cursor(query.cursor)
        require(_AFTER_CURSOR, last_received=last_received, last_id=last_id)
    return conditions, parameters


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
    return ListedMessage(
        message,
        flags=reduce(or_, (place.flags for place in places), 0),
        keywords=one_spelling(sorted(chain.from_iterable(unpack_keywords(place.keywords) for place in places))),
        mailboxes=tuple(sorted({place.name for place in places}, key=name_order)),
    )
