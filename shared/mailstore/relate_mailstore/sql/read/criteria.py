"""The criteria of a message list as SQL. Text is folded on both sides: see `folding`."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Text, bindparam, exists, func, select

from relate_mailstore.criteria import (
    Condition,
    Criterion,
    HasAttachment,
    HasFlag,
    HasKeyword,
    HasText,
    InMailbox,
    IsLarger,
    IsSince,
)
from relate_mailstore.folding import fold
from relate_mailstore.keywords import key_of
from relate_mailstore.sql.driver.dialects import has_text, has_word, line_of, unindexed
from relate_mailstore.sql.schema.rows import storable, stored_name
from relate_mailstore.sql.schema.tables import entries, mailboxes, messages
from relate_mailstore.types import Flag, MessageQuery


def searches_text(query: MessageQuery) -> bool:
    """Whether the query reads `messages.search`, which has to be up to date."""
    return bool(query.text) or any(isinstance(one.condition, HasText) for one in query.criteria)


def compile_criterion(criterion: Criterion) -> ColumnElement[bool]:
    """The condition on a row of `messages`."""
    condition = _compile(criterion.condition)
    return ~condition if criterion.negated else condition


def _compile(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case HasText(text, place):
            searched = messages.c.search
            return has_text(searched if place is None else line_of(searched, place), _text(fold(text)))
        case HasFlag(Flag.SEEN):  # see `MessageState`
            return ~_has_entry(entries.c.flags.bitwise_and(int(Flag.SEEN)) == 0)
        case HasFlag(flag):
            return _has_entry(entries.c.flags.bitwise_and(int(flag)) != 0)
        case HasKeyword(keyword):
            return _has_entry(has_word(func.lower(entries.c.keywords), _text(key_of(keyword))))
        case InMailbox(name):
            return _has_entry(unindexed(entries.c.mailbox_id) == _mailbox_id(name))
        case HasAttachment():
            return messages.c.attachments > 0
        case IsSince(seconds):
            return messages.c.received >= seconds
        case IsLarger(octets):
            return messages.c.size > octets


def _has_entry(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a message has an entry that meets the conditions.

    SQLite would look for it among all entries of the account or of the mailbox, once for each message.
    """
    of_account = unindexed(entries.c.account_id) == messages.c.account_id
    return exists(select(1).select_from(entries).where(of_account, entries.c.message_id == messages.c.id, *where))


def _mailbox_id(name: str) -> Any:
    named = mailboxes.c.name == _text(stored_name(name))
    return select(mailboxes.c.id).where(mailboxes.c.account_id == bindparam("account_id"), named).scalar_subquery()


def _text(text: str) -> BindParameter[str]:
    return bindparam(None, storable(text), type_=Text)
