"""Dates of SEARCH and APPEND (RFC 9051 §9 date, date-time)."""

import re
from datetime import date

from relate_imap.grammar.cursor import Cursor, Malformed

_MONTHS = {month: number for number, month in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
_EPOCH = date(1970, 1, 1).toordinal()

# Like Dovecot: in both kinds of dates a day of one digit with or without a space before it; GMT as a zone.
_DATE = re.compile(rb'("?) ?(?P<day>[0-9]{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>[0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'" ?(?P<day>[0-9]{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>[0-9]{4})'
    rb" (?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
    rb' (?:(?P<sign>[-+])(?P<east>[01][0-9]|2[0-3])(?P<minutes_east>[0-5][0-9])|GMT|UTC?)"'
)


def day(cursor: Cursor) -> int:
    """A date, in days since 1970-01-01. Raises Malformed."""
    found = cursor.match(_DATE)
    if found is None:
        raise Malformed("A date is expected")
    return _days(found)


def date_time(cursor: Cursor) -> int:
    """A date with time and zone, in seconds since the epoch. Raises Malformed."""
    found = cursor.match(_DATE_TIME)
    if found is None:
        raise Malformed("A date and time is expected")
    hour, minute, second = (int(found[part]) for part in ("hour", "minute", "second"))
    east = int(found["east"] or 0) * 3600 + int(found["minutes_east"] or 0) * 60
    seconds = _days(found) * 86_400 + hour * 3600 + minute * 60 + second
    return seconds + east if found["sign"] == b"-" else seconds - east


def _days(found: re.Match[bytes]) -> int:
    try:
        parsed = date(int(found["year"]), _MONTHS[found["month"].upper()], int(found["day"]))
    except (KeyError, ValueError):
        raise Malformed("There is no such date") from None
    return parsed.toordinal() - _EPOCH
