"""Parses the keys of SEARCH, SORT and THREAD into a tree (RFC 9051 §6.4.4 and §9 search-key).

Includes NEW, OLD and RECENT of RFC 3501, and the keys of RFC 5032, RFC 7162 §3.1.5, RFC 8474 §6, RFC 8514 §4.3.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.dates import day
from relate_imap.search.keys import (
    AddressField,
    All,
    And,
    Dated,
    DateOf,
    HasAddress,
    HasEmailId,
    HasFlag,
    HasHeader,
    HasKeyword,
    HasSubject,
    HasText,
    HasThreadId,
    InSequenceSet,
    Larger,
    ModifiedSince,
    Not,
    Or,
    Recent,
    SaveDateSupported,
    SearchKey,
    Smaller,
    Within,
)
from relate_imap.selected.sequence_set import MAX_NUMBER
from relate_mailstore.types import Flag

# Of one search, because each may scan all messages; programs that search for a thousand ids split their commands.
MAX_KEYS = 1000
# Of NOT, OR and parentheses, nested; clients that search for several ids send OR OR OR …
MAX_DEPTH = 100

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")  # RFC 8474 §7


def keys(cursor: Cursor) -> SearchKey:
    """All keys up to the end of the command, as a conjunction. Raises Malformed."""
    reader = KeyReader(cursor)
    return _all_of([reader.key(), *cursor.others(lambda _: reader.key())])


class KeyReader:
    """Parses nested keys within limits on their depth and number."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._depth = 0
        self._count = 0

    def key(self) -> SearchKey:
        """One key. Raises Malformed."""
        self._count += 1
        if self._count > MAX_KEYS:
            raise Malformed("Too many search keys")
        if self._cursor.sees(b"("):
            return self._group()
        numbers = self._cursor.optional_set()
        return InSequenceSet(numbers) if numbers is not None else self._named(self._cursor.word())

    def _named(self, word: str) -> SearchKey:
        if word in PLAIN:
            return PLAIN[word]
        if word not in WITH_ARGUMENT and word not in ("NOT", "OR"):
            raise Malformed("Unknown search key")
        self._cursor.space()
        match word:
            case "NOT":
                return Not(self._inner())
            case "OR":
                return Or(self._inner(), self._inner(after_space=True))
            case _:
                return WITH_ARGUMENT[word](self._cursor)

    def _group(self) -> SearchKey:
        return _all_of(self._cursor.parenthesized(lambda _: self._inner()))

    def _inner(self, *, after_space: bool = False) -> SearchKey:
        if after_space:
            self._cursor.space()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed("Nested too deeply")
        key = self.key()
        self._depth -= 1
        return key


def _all_of(found: list[SearchKey]) -> SearchKey:
    return found[0] if len(found) == 1 else And(tuple(found))


def _address(field: AddressField, cursor: Cursor) -> SearchKey:
    text = cursor.text()
    return HasAddress(field, text) if text else HasHeader(field.value, "")


def _subject(cursor: Cursor) -> SearchKey:
    """An empty text matches every message that has the field (RFC 9051 §6.4.4), here and in `_address`."""
    text = cursor.text()
    return HasSubject(text) if text else HasHeader("SUBJECT", "")


def _header(cursor: Cursor) -> SearchKey:
    name = cursor.text().upper()
    cursor.space()
    return HasHeader(name, cursor.text())


def _keyword(cursor: Cursor) -> SearchKey:
    """A keyword, optionally in quotes, which Dovecot accepts."""
    return HasKeyword(cursor.text() if cursor.sees(b'"') else cursor.atom())


def _before(of: DateOf, cursor: Cursor) -> SearchKey:
    return Dated(of, None, day(cursor))


def _on(of: DateOf, cursor: Cursor) -> SearchKey:
    first = day(cursor)
    return Dated(of, first, first + 1)


def _since(of: DateOf, cursor: Cursor) -> SearchKey:
    return Dated(of, day(cursor), None)


def _modseq(cursor: Cursor) -> SearchKey:
    """MODSEQ [entry type] modseq: modseqs are per message, so the entry is ignored (RFC 7162 §3.1.5)."""
    if cursor.sees(b'"'):
        cursor.string()
        cursor.space()
        if cursor.word() not in ("PRIV", "SHARED", "ALL"):
            raise Malformed("Unknown entry type")
        cursor.space()
    return ModifiedSince(cursor.number64())


def _object_id(cursor: Cursor) -> str:
    found = cursor.match(_OBJECT_ID)
    if found is None:
        raise Malformed("An object's id is expected")
    return found[0].decode("ascii")


_SEEN, _RECENT = HasFlag(Flag.SEEN), Recent()

PLAIN: Mapping[str, SearchKey] = {
    "ALL": All(),
    "ANSWERED": HasFlag(Flag.ANSWERED),
    "DELETED": HasFlag(Flag.DELETED),
    "DRAFT": HasFlag(Flag.DRAFT),
    "FLAGGED": HasFlag(Flag.FLAGGED),
    "NEW": And((_RECENT, Not(_SEEN))),
    "OLD": Not(_RECENT),
    "RECENT": _RECENT,
    "SAVEDATESUPPORTED": SaveDateSupported(),
    "SEEN": _SEEN,
    "UNANSWERED": Not(HasFlag(Flag.ANSWERED)),
    "UNDELETED": Not(HasFlag(Flag.DELETED)),
    "UNDRAFT": Not(HasFlag(Flag.DRAFT)),
    "UNFLAGGED": Not(HasFlag(Flag.FLAGGED)),
    "UNSEEN": Not(_SEEN),
}

WITH_ARGUMENT: Mapping[str, Callable[[Cursor], SearchKey]] = {
    "BCC": partial(_address, AddressField.BCC),
    "BEFORE": partial(_before, DateOf.INTERNAL),
    "BODY": lambda cursor: HasText(cursor.text(), body_only=True),
    "CC": partial(_address, AddressField.CC),
    "EMAILID": lambda cursor: HasEmailId(_object_id(cursor)),
    "FROM": partial(_address, AddressField.FROM),
    "HEADER": _header,
    "KEYWORD": _keyword,
    "LARGER": lambda cursor: Larger(cursor.quoted_number()),
    "MODSEQ": _modseq,
    "OLDER": lambda cursor: Within(cursor.quoted_number(1, MAX_NUMBER), older=True),
    "ON": partial(_on, DateOf.INTERNAL),
    "SAVEDBEFORE": partial(_before, DateOf.SAVED),
    "SAVEDON": partial(_on, DateOf.SAVED),
    "SAVEDSINCE": partial(_since, DateOf.SAVED),
    "SENTBEFORE": partial(_before, DateOf.SENT),
    "SENTON": partial(_on, DateOf.SENT),
    "SENTSINCE": partial(_since, DateOf.SENT),
    "SINCE": partial(_since, DateOf.INTERNAL),
    "SMALLER": lambda cursor: Smaller(cursor.quoted_number()),
    "SUBJECT": _subject,
    "TEXT": lambda cursor: HasText(cursor.text(), body_only=False),
    "THREADID": lambda cursor: HasThreadId(_object_id(cursor)),
    "TO": partial(_address, AddressField.TO),
    "UID": lambda cursor: InSequenceSet(cursor.sequence_set(), uid=True),
    "UNKEYWORD": lambda cursor: Not(_keyword(cursor)),
    "YOUNGER": lambda cursor: Within(cursor.quoted_number(1, MAX_NUMBER), older=False),
}
