"""The range of PARTIAL; negative numbers count from the end (RFC 9394 §3.1)."""

import re

from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.selected.sequence_set import MAX_NUMBER

_RANGE = re.compile(rb"(?P<sign>-?)(?P<first>[1-9][0-9]{0,9}):(?P=sign)(?P<last>[1-9][0-9]{0,9})")


def partial_range(cursor: Cursor) -> tuple[int, int]:
    """`1:500` or `-1:-100`. Raises Malformed."""
    found = cursor.match(_RANGE)
    if found is None:
        raise Malformed("A range is expected")
    first, last = int(found["first"]), int(found["last"])
    if max(first, last) > MAX_NUMBER:
        raise Malformed("A number is out of range")
    return (-first, -last) if found["sign"] else (first, last)
