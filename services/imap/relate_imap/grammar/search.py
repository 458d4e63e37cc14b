"""SEARCH: return options, charset, keys (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 9394)."""

from typing import NamedTuple

from relate_imap.commands import Search
from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.partial import partial_range
from relate_imap.grammar.search_keys import search_keys

CHARSETS = frozenset({b"US-ASCII", b"UTF-8"})
ALIASES = frozenset({b"", b"ASCII", b"ANSI_X3.4-1968", b"UTF8"})
"""Aliases that Dovecot accepts."""
RETURN_OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL"})


class Returning(NamedTuple):
    """One return option; only PARTIAL has a range."""

    option: str
    partial: tuple[int, int] | None = None


def search(cursor: Cursor, tag: str, verb: str) -> Search:
    """SEARCH [RETURN (option …)] [CHARSET charset] key …"""
    cursor.expect_space()
    returning, partial = returned(cursor)
    if cursor.accept(b"CHARSET "):
        cursor.skip_spaces()
        charset(cursor, saves_result=returning is not None and "SAVE" in returning)
        cursor.expect_space()
    return Search(tag, verb, search_keys(cursor), returning, partial)


def charset(cursor: Cursor, *, saves_result: bool = False) -> None:
    """Consume a known charset; both are parsed as UTF-8. Raises Malformed."""
    label = cursor.astring().upper()
    cursor.charset_given = label.startswith(b"UTF")
    if label not in CHARSETS | ALIASES:
        raise Malformed("Unknown charset", "BADCHARSET (US-ASCII UTF-8)", refused=True, saves_result=saves_result)


def returned(cursor: Cursor) -> tuple[frozenset[str] | None, tuple[int, int] | None]:
    """The options of RETURN (…) and the range of PARTIAL; None without RETURN. Raises Malformed."""
    if not cursor.accept(b"RETURN "):
        return None, None
    cursor.skip_spaces()
    given = cursor.parenthesized(_return_option, may_be_empty=True)
    options = frozenset(one.option for one in given) or frozenset({"ALL"})
    if options >= {"ALL", "PARTIAL"} or sum(one.option == "PARTIAL" for one in given) > 1:
        raise Malformed("PARTIAL may be given only once, and not with ALL")  # RFC 9394 §3.1
    cursor.expect_space()
    return options, next((one.partial for one in given if one.partial), None)


def _return_option(cursor: Cursor) -> Returning:
    option = cursor.word()
    if option not in RETURN_OPTIONS:
        raise Malformed("Unknown return option")
    if option != "PARTIAL":
        return Returning(option)
    cursor.expect_space()
    return Returning(option, partial_range(cursor))
