"""Dates of header fields (RFC 5322 §3.3 with the obsolete forms of §4.3) as seconds since the epoch."""

import re
from datetime import date
from typing import Final

from relate_mailstore.mime.fields import strip_comments, unfold

_DATE = re.compile(
    rb"(?:[A-Za-z]++\.?\s*+,?\s*+)?+"
    rb"(\d{1,2})[\s-]++([A-Za-z]{3})[A-Za-z]*+\.?[\s-]++(\d{2,4})[\s,]++"
    rb"(\d{1,2})\s*+[:.]\s*+(\d{2})(?:\s*+[:.]\s*+(\d{2})(?:\.\d++)?+)?+"
    rb"\s*+(?:([+-])(\d{2}):?(\d{2})|([A-Za-z]++))?"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_ZONES = {  # hours east of Greenwich; any other name, the military letters included, says nothing (RFC 5322 §4.3)
    b"EST": -5,
    b"EDT": -4,
    b"CST": -6,
    b"CDT": -5,
    b"MST": -7,
    b"MDT": -6,
    b"PST": -8,
    b"PDT": -7,
}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86_400  # seconds


def parse_date(value: bytes) -> int | None:
    """Seconds since the epoch; None when it is not a date. Without a zone it is UTC."""
    parsed = parse_zoned_date(value)
    return None if parsed is None else parsed[0]


def parse_zoned_date(value: bytes) -> tuple[int, int] | None:
    """Seconds since the epoch, and the zone in minutes east of Greenwich; None when it is not a date."""
    match = _DATE.match(strip_comments(unfold(value)).lstrip())
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes, zone = match.groups()
    try:
        days = date(_full_year(year), _MONTHS[month.lower()], int(day)).toordinal() - _EPOCH
    except (KeyError, ValueError):
        return None
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    if seconds > _DAY or int(minute) > 59:  # the day's last second may be a leap second
        return None
    if sign:
        east = (int(zone_hours) * 60 + int(zone_minutes)) * (-1 if sign == b"-" else 1)
    else:
        east = _ZONES.get(zone.upper(), 0) * 60 if zone else 0
    return days * _DAY + seconds - east * 60, east


def _full_year(digits: bytes) -> int:
    """RFC 5322 §4.3: two digits below 50 are of this century; other two or three digits count from 1900."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)
