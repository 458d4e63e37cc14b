"""Flags of STORE and APPEND (RFC 9051 §2.3.2)."""

import re
from collections.abc import Iterable, Mapping

from relate_imap.commands import FlagList
from relate_imap.grammar.cursor import ATOM_CHAR, Cursor, Malformed
from relate_mailstore.types import Flag

SYSTEM_FLAGS: Mapping[str, int] = {
    "\\ANSWERED": Flag.ANSWERED,
    "\\FLAGGED": Flag.FLAGGED,
    "\\DELETED": Flag.DELETED,
    "\\SEEN": Flag.SEEN,
    "\\DRAFT": Flag.DRAFT,
    "\\RECENT": 0,  # clients cannot set it, but old ones copy it along with the others (RFC 3501 §2.3.2)
}

_FLAG = re.compile(rb"\\?" + ATOM_CHAR + rb"+")


def flag_list(cursor: Cursor) -> FlagList:
    """Flags in parentheses, possibly none. Raises Malformed."""
    return collect(cursor.parenthesized(flag, may_be_empty=True))


def flag(cursor: Cursor) -> str:
    """One flag as written. Raises Malformed."""
    found = cursor.match(_FLAG)
    if found is None:
        raise Malformed("A flag is expected")
    return found[0].decode("ascii")


def collect(flags: Iterable[str]) -> FlagList:
    """Flag bits and keywords, without duplicates in another case. Raises Malformed."""
    bits, keywords = 0, dict[str, str]()
    for name in flags:
        if not name.startswith("\\"):
            keywords.setdefault(name.upper(), name)
        elif name.upper() in SYSTEM_FLAGS:
            bits |= SYSTEM_FLAGS[name.upper()]
        else:
            raise Malformed("Unknown system flag")
    return FlagList(int(bits), tuple(keywords.values()))
