"""SORT and THREAD (RFC 5256), SORT with RETURN (RFC 5267 §3) and by display name (RFC 5957)."""

from relate_imap.commands import Sort, Thread
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.search import charset, returned
from relate_imap.grammar.search_keys import search_keys

CRITERIA = frozenset({"ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO"} | {"DISPLAYFROM", "DISPLAYTO"})
ALGORITHMS = frozenset({"ORDEREDSUBJECT", "REFERENCES"})


def sort(cursor: Cursor, tag: str, verb: str) -> Sort:
    """SORT [RETURN (option …)] (criteria) charset key …"""
    cursor.expect_space()
    returning, partial = returned(cursor)
    criteria = cursor.parenthesized(_criterion)
    cursor.expect_space()
    charset(cursor)
    cursor.expect_space()
    return Sort(tag, verb, tuple(criteria), search_keys(cursor), returning, partial)


def thread(cursor: Cursor, tag: str, verb: str) -> Thread:
    """THREAD algorithm charset key …"""
    cursor.expect_space()
    algorithm = cursor.word()
    if algorithm not in ALGORITHMS:
        raise Malformed("Unknown threading algorithm")
    cursor.expect_space()
    charset(cursor)
    cursor.expect_space()
    return Thread(tag, verb, algorithm, search_keys(cursor))


def _criterion(cursor: Cursor) -> tuple[str, bool]:
    word = cursor.word()
    reverse = word == "REVERSE"
    if reverse:
        cursor.expect_space()
        word = cursor.word()
    if word not in CRITERIA:
        raise Malformed("Unknown sort criterion")
    return word, reverse
