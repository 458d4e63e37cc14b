"""Parses the keys of SEARCH, SORT and THREAD into a tree (RFC 9051 §6.4.4 and §9 search-key).

Includes NEW, OLD and RECENT of RFC 3501, and the keys of RFC 5032, RFC 7162 §3.1.5, RFC 8474 §6, RFC 8514 §4.3.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.dates import day
from relate_imap.search import keys
from relate_imap.selected.sequence_set import MAX_NUMBER
from relate_mailstore.types import Flag, ModSeq

# Of one search, because each may scan all messages; programs that search for a thousand ids split their commands.
MAX_KEYS = 1000
# Of NOT, OR and parentheses, nested; clients that search for several ids send OR OR OR …
MAX_DEPTH = 100

_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")  # RFC 8474 §7


def search_keys(cursor: Cursor) -> keys.SearchKey:
    """All keys up to the end of the command, as a conjunction. Raises Malformed."""
    reader = KeyReader(cursor)
    return _all_of([reader.key(), *cursor.remaining(lambda _: reader.key())])


class KeyReader:
    """Parses nested keys within limits on their depth and number."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._depth = 0
        self._count = 0

    def key(self) -> keys.SearchKey:
        """One key. Raises Malformed."""
        self._count += 1
        if self._count > MAX_KEYS:
            raise Malformed("Too many search keys")
        if self._cursor.starts_with(b"("):
            return self._group()
        numbers = self._cursor.optional_set()
        return keys.InSequenceSet(numbers) if numbers is not None else self._named(self._cursor.word())

    def _named(self, word: str) -> keys.SearchKey:
        if word in PLAIN:
            return PLAIN[word]
        if word not in WITH_ARGUMENT and word not in ("NOT", "OR"):
            raise Malformed("Unknown search key")
        self._cursor.expect_space()
        match word:
            case "NOT":
                return keys.Not(self._inner())
            case "OR":
                return keys.Or(self._inner(), self._inner(after_space=True))
            case _:
                return WITH_ARGUMENT[word](self._cursor)

    def _group(self) -> keys.SearchKey:
        return _all_of(self._cursor.parenthesized(lambda _: self._inner()))

    def _inner(self, *, after_space: bool = False) -> keys.SearchKey:
        if after_space:
            self._cursor.expect_space()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed("Nested too deeply")
        key = self.key()
        self._depth -= 1
        return key


def _all_of(found: list[keys.SearchKey]) -> keys.SearchKey:
    return found[0] if len(found) == 1 else keys.And(tuple(found))


def _address(field: keys.AddressField, cursor: Cursor) -> keys.SearchKey:
    text = cursor.text()
    return keys.HasAddress(field, text) if text else keys.HasHeader(field.value, "")


def _subject(cursor: Cursor) -> keys.SearchKey:
    """An empty text matches every message that has the field (RFC 9051 §6.4.4), here and in `_address`."""
    text = cursor.text()
    return keys.HasSubject(text) if text else keys.HasHeader("SUBJECT", "")


def _header(cursor: Cursor) -> keys.SearchKey:
    name = cursor.text().upper()
    cursor.expect_space()
    return keys.HasHeader(name, cursor.text())


def _keyword(cursor: Cursor) -> keys.SearchKey:
    """A keyword, optionally in quotes, which Dovecot accepts."""
    return keys.HasKeyword(cursor.text() if cursor.starts_with(b'"') else cursor.atom())


def _before(of: keys.DateOf, cursor: Cursor) -> keys.SearchKey:
    return keys.Dated(of, None, day(cursor))


def _on(of: keys.DateOf, cursor: Cursor) -> keys.SearchKey:
    first = day(cursor)
    return keys.Dated(of, first, first + 1)


def _since(of: keys.DateOf, cursor: Cursor) -> keys.SearchKey:
    return keys.Dated(of, day(cursor), None)


def _modseq(cursor: Cursor) -> keys.SearchKey:
    """MODSEQ [entry type] modseq: modseqs are per message, so the entry is ignored (RFC 7162 §3.1.5)."""
    if cursor.starts_with(b'"'):
        cursor.string()
        cursor.expect_space()
        if cursor.word() not in ("PRIV", "SHARED", "ALL"):
            raise Malformed("Unknown entry type")
        cursor.expect_space()
    return keys.ModifiedSince(ModSeq(cursor.number64()))


def _object_id(cursor: Cursor) -> str:
    found = cursor.match(_OBJECT_ID)
    if found is None:
        raise Malformed("An object's id is expected")
    return found[0].decode("ascii")


_SEEN, _RECENT = keys.HasFlag(Flag.SEEN), keys.Recent()

PLAIN: Mapping[str, keys.SearchKey] = {
    "ALL": keys.All(),
    "ANSWERED": keys.HasFlag(Flag.ANSWERED),
    "DELETED": keys.HasFlag(Flag.DELETED),
    "DRAFT": keys.HasFlag(Flag.DRAFT),
    "FLAGGED": keys.HasFlag(Flag.FLAGGED),
    "NEW": keys.And((_RECENT, keys.Not(_SEEN))),
    "OLD": keys.Not(_RECENT),
    "RECENT": _RECENT,
    "SAVEDATESUPPORTED": keys.SaveDateSupported(),
    "SEEN": _SEEN,
    "UNANSWERED": keys.Not(keys.HasFlag(Flag.ANSWERED)),
    "UNDELETED": keys.Not(keys.HasFlag(Flag.DELETED)),
    "UNDRAFT": keys.Not(keys.HasFlag(Flag.DRAFT)),
    "UNFLAGGED": keys.Not(keys.HasFlag(Flag.FLAGGED)),
    "UNSEEN": keys.Not(_SEEN),
}

WITH_ARGUMENT: Mapping[str, Callable[[Cursor], keys.SearchKey]] = {
    "BCC": partial(_address, keys.AddressField.BCC),
    "BEFORE": partial(_before, keys.DateOf.INTERNAL),
    "BODY": lambda cursor: keys.HasText(cursor.text(), body_only=True),
    "CC": partial(_address, keys.AddressField.CC),
    "EMAILID": lambda cursor: keys.HasEmailId(_object_id(cursor)),
    "FROM": partial(_address, keys.AddressField.FROM),
    "HEADER": _header,
    "KEYWORD": _keyword,
    "LARGER": lambda cursor: keys.Larger(cursor.quoted_number()),
    "MODSEQ": _modseq,
    "OLDER": lambda cursor: keys.Within(cursor.quoted_number(1, MAX_NUMBER), older=True),
    "ON": partial(_on, keys.DateOf.INTERNAL),
    "SAVEDBEFORE": partial(_before, keys.DateOf.SAVED),
    "SAVEDON": partial(_on, keys.DateOf.SAVED),
    "SAVEDSINCE": partial(_since, keys.DateOf.SAVED),
    "SENTBEFORE": partial(_before, keys.DateOf.SENT),
    "SENTON": partial(_on, keys.DateOf.SENT),
    "SENTSINCE": partial(_since, keys.DateOf.SENT),
    "SINCE": partial(_since, keys.DateOf.INTERNAL),
    "SMALLER": lambda cursor: keys.Smaller(cursor.quoted_number()),
    "SUBJECT": _subject,
    "TEXT": lambda cursor: keys.HasText(cursor.text(), body_only=False),
    "THREADID": lambda cursor: keys.HasThreadId(_object_id(cursor)),
    "TO": partial(_address, keys.AddressField.TO),
    "UID": lambda cursor: keys.InSequenceSet(cursor.sequence_set(), uid=True),
    "UNKEYWORD": lambda cursor: keys.Not(_keyword(cursor)),
    "YOUNGER": lambda cursor: keys.Within(cursor.quoted_number(1, MAX_NUMBER), older=False),
}
