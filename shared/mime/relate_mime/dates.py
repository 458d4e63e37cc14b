"""Dates of header fields (RFC 5322 §3.3 with the obsolete forms of §4.3) as seconds since the epoch.

Scripts write other formats: the output of date(1) and asctime(3), ISO 8601, a 12-hour clock, the month before the day.
So the time, the date and the zone are each searched for independently.
"""

import re
from datetime import date
from typing import Final

from relate_mime.fields import strip_comments, unfold

VALUE_LIMIT_OCTETS: Final = 998
"""Octets of a value that are parsed: one line (RFC 5322 §2.1.1)."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_MONTH = rb"(?P<month>%b)[a-z]*+\.?" % b"|".join(_MONTHS)
_DAY_OF_MONTH = rb"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th)?+\.?"
_YEAR = rb"(?P<year>\d{4}|\d{2,3})(?!\d)"
_DATES = [
    re.compile(form, re.IGNORECASE)
    for form in (
        rb"%b[\s/-]*+(?:of\s++)?+%b[\s,/-]*+%b" % (_DAY_OF_MONTH, _MONTH, _YEAR),  # 29 May 2019
        rb"%b[\s/-]*+%b[\s,/-]++%b" % (_MONTH, _DAY_OF_MONTH, _YEAR),  # May 29, 2019
        rb"(?<!\d)(?P<year>\d{4})[\s/-]*+%b[\s/-]*+%b(?!\d)" % (_MONTH, _DAY_OF_MONTH),  # 2019 May 29
        rb"(?<!\d)(?P<year>\d{4})([./-])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?!\d)",  # 2019-05-29
        rb"(?<!\d)(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?!\d)",  # 20190529
        rb"(?<!\d)(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4}|\d{2})(?!\d)",  # 29.05.2019
        # Ambiguous between day and month unless the day is above 12.
        rb"(?<!\d)(?P<day>1[3-9]|2\d|3[01])[/-](?P<month>\d{1,2})[/-](?P<year>\d{4})(?!\d)",  # 29/05/2019
        rb"(?<!\d)(?P<month>\d{1,2})[/-](?P<day>1[3-9]|2\d|3[01])[/-](?P<year>\d{4})(?!\d)",  # 05/29/2019
    )
]
_CLOCK = re.compile(
    rb"(?<!\d)(\d{1,2})\s*+:\s*+(\d{1,2})(?:\s*+:\s*+(\d{1,2})(?:[.,]\d++)?+)?+(?:\s*+([ap])\.?m\b\.?)?+", re.IGNORECASE
)
_HOUR_ALONE = re.compile(rb"(?<!\d)(\d{1,2})()()\s*+([ap])\.?m\b\.?", re.IGNORECASE)
_COMPACT_CLOCK = re.compile(rb"(?<=\dT)(\d{2})(\d{2})(\d{2})?+(?:[.,]\d++)?+(?!\d)()")  # of ISO 8601
_DOTTED_CLOCK = re.compile(rb"(?<![\d.])(\d{1,2})\.(\d{2})(?:\.(\d{2}))?+(?![\d.])()")
_ZONE = re.compile(rb"\s*+(?:(?:GMT|UTC?)?+\s?([+-])(\d{1,2}):?(\d{2})?+(?!\d)|([A-Z]{1,5})\b)", re.IGNORECASE)

# Minutes east of Greenwich. Military letters, and names of several zones, are unknown zones (RFC 5322 §4.3).
_ZONES = {
    b"GMT": 0, b"UT": 0, b"UTC": 0, b"Z": 0, b"WET": 0, b"WEST": 60, b"BST": 60,
    b"CET": 60, b"MET": 60, b"CEST": 120, b"MEST": 120, b"MESZ": 120, b"MEZ": 60, b"SAST": 120,
    b"EET": 120, b"EEST": 180, b"MSK": 180, b"MSD": 240, b"HKT": 480, b"SGT": 480, b"AWST": 480, b"JST": 540,
    b"KST": 540, b"ACST": 570, b"ACDT": 630, b"AEST": 600, b"AEDT": 660, b"NZST": 720, b"NZDT": 780,
    b"NST": -210, b"NDT": -150, b"AST": -240, b"ADT": -180, b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300,
    b"MST": -420, b"MDT": -360, b"PST": -480, b"PDT": -420, b"AKST": -540, b"AKDT": -480, b"HST": -600, b"BRT": -180,
}  # fmt: skip
_NO_BREAK_SPACES = re.compile(b"\xc2\xa0|\xe2\x80\xaf")  # ICU writes one before AM and PM
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400


def parse_date(value: bytes) -> int | None:
    """Seconds since the epoch; None if it is not a date. The zone defaults to UTC, the time to midnight."""
    parsed = parse_zoned_date(value)
    return None if parsed is None else parsed[0]


def parse_zoned_date(value: bytes) -> tuple[int, int] | None:
    """Seconds since the epoch, and the zone in minutes east of Greenwich; None if it is not a date."""
    text = strip_comments(_NO_BREAK_SPACES.sub(b" ", unfold(value[:VALUE_LIMIT_OCTETS])))
    clock = _CLOCK.search(text) or _COMPACT_CLOCK.search(text) or _HOUR_ALONE.search(text)
    east: int | None = None
    if clock:  # date(1) writes the year after time and zone
        east, zone_end = _read_zone(text, clock.end())
        text = b"%b %b" % (text[: clock.start()], text[zone_end:])
    match = next(filter(None, (form.search(text) for form in _DATES)), None)
    if match is None:
        return None
    position = match.end()
    if clock is None and (clock := _DOTTED_CLOCK.search(text, position)):
        position = clock.end()
    if east is None:
        east = _read_zone(text, position)[0] or 0
    days, seconds = _days(match), _seconds(clock) if clock else 0
    return None if days is None or seconds is None else (days * _DAY_SECONDS + seconds - east * 60, east)


def _read_zone(text: bytes, position: int) -> tuple[int | None, int]:
    """Minutes east of Greenwich (None for no zone or an unknown one), and the end of the zone."""
    match = _ZONE.match(text, position)
    if match is None:
        return None, position
    sign, hours, minutes, name = match.groups()
    if sign:
        east = int(hours) * 60 + int(minutes or 0)
        return -east if sign == b"-" else east, match.end()
    if name.upper() in _ZONES:
        return _ZONES[name.upper()], match.end()
    is_zone = name.isupper() and name[:3].lower() not in _MONTHS
    return None, match.end() if is_zone else position


def _days(match: re.Match[bytes]) -> int | None:
    """Days since the epoch; None for a day that the calendar does not have."""
    month = match["month"].lower()
    try:
        return date(_full_year(match["year"]), _MONTHS.get(month) or int(month), int(match["day"])).toordinal() - _EPOCH
    except ValueError:
        return None


def _seconds(clock: re.Match[bytes]) -> int | None:
    """Seconds since midnight; None for an impossible time."""
    hour, minute, second = (int(digits or 0) for digits in clock.group(1, 2, 3))
    if half := clock[4]:
        hour = hour % 12 + (12 if half in b"pP" else 0) if hour <= 12 else hour
    seconds = hour * 3600 + minute * 60 + second
    return None if seconds > _DAY_SECONDS or minute > 59 else seconds  # the day's last second may be a leap second


def _full_year(digits: bytes) -> int:
    """RFC 5322 §4.3: two digits below 50 are of this century; other two or three digits count from 1900."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)
