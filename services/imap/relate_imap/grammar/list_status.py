"""LIST, LSUB, STATUS (RFC 9051 §6.3.9, §6.3.11, RFC 3501 §6.3.9, RFC 5258, RFC 5819)."""

from typing import NamedTuple

from relate_imap.commands import List, Status
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.mailbox_names import mailbox, name

STATUS_ITEMS = frozenset(
    {"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "RECENT"}  # RFC 9051, RECENT of RFC 3501
    | {"HIGHESTMODSEQ", "APPENDLIMIT", "MAILBOXID", "DELETED-STORAGE"}  # RFC 7162, 7889, 8474, 9208
)
SELECTION_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})

# Each is matched against every name.
MAX_PATTERNS = 100


class Returning(NamedTuple):
    """One return option; only STATUS has items."""

    option: str
    items: tuple[str, ...] = ()


def list_mailboxes(cursor: Cursor, tag: str, verb: str) -> List:
    """LIST [(selection …)] reference pattern-or-patterns [RETURN (…)]"""
    cursor.expect_space()
    extended, selection = cursor.starts_with(b"("), frozenset[str]()
    if extended:
        selection = frozenset(cursor.parenthesized(_selection_option, may_be_empty=True))
        cursor.expect_space()
    reference = name(cursor)
    cursor.expect_space()
    several = cursor.starts_with(b"(")
    patterns = cursor.parenthesized(name, may_be_empty=True, maximum=MAX_PATTERNS) if several else [name(cursor)]
    returns = not cursor.at_end
    returning = _returning(cursor) if returns else []
    cursor.expect_end()
    status = next((one.items for one in returning if one.items), ())
    options = frozenset(one.option for one in returning) - {"STATUS"}
    return List(tag, verb, reference, tuple(patterns), selection, options, status, extended or several or returns)


def list_subscribed(cursor: Cursor, tag: str, verb: str) -> List:
    """LSUB reference pattern"""
    cursor.expect_space()
    reference = name(cursor)
    cursor.expect_space()
    only = name(cursor)
    cursor.expect_end()
    return List(tag, verb, reference, (only,))


def status(cursor: Cursor, tag: str, _: str) -> Status:
    """STATUS mailbox (item …)"""
    cursor.expect_space()
    mailbox_name = mailbox(cursor)
    cursor.expect_space()
    items = _status_items(cursor)
    cursor.expect_end()
    return Status(tag, mailbox_name, items)


def _returning(cursor: Cursor) -> list[Returning]:
    cursor.expect_space()
    cursor.expect(b"RETURN", "RETURN is expected")
    cursor.expect_space()
    return cursor.parenthesized(_return_option, may_be_empty=True)


def _return_option(cursor: Cursor) -> Returning:
    option = _one_of(cursor, RETURN_OPTIONS)
    if option != "STATUS":
        return Returning(option)
    cursor.expect_space()
    return Returning(option, _status_items(cursor))


def _selection_option(cursor: Cursor) -> str:
    return _one_of(cursor, SELECTION_OPTIONS)


def _status_items(cursor: Cursor) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cursor.parenthesized(_status_item)))


def _status_item(cursor: Cursor) -> str:
    return _one_of(cursor, STATUS_ITEMS)


def _one_of(cursor: Cursor, allowed: frozenset[str]) -> str:
    word = cursor.word()
    if word not in allowed:
        raise Malformed("Unknown option or item")
    return word
