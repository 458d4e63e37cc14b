"""Date: fields: current and obsolete forms of RFC 5322, and other formats in real mail."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import parse_date
from relate_mime.dates import parse_zoned_date
from tests.support.examples import examples

ZONE_SECONDS = (99 * 60 + 99) * 60  # the largest offset that the syntax allows
CALENDAR_START_SECONDS = int(datetime.min.replace(tzinfo=UTC).timestamp()) - ZONE_SECONDS
CALENDAR_END_SECONDS = int(datetime.max.replace(tzinfo=UTC).timestamp()) + 1 + ZONE_SECONDS

DATES = [
    ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06"),  # RFC 5322 appendix A.1.1
    ("Tue, 1 Jul 2003 10:52:37 +0200", "2003-07-01T08:52:37"),
    ("Thu, 13 Feb 1969 23:32:54 -0330", "1969-02-14T03:02:54"),  # A.3
    ("Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
     "1969-02-14T03:02:00"),  # A.5
    ("21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06"),  # A.6.2
    ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06"),  # A.6.3
    ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", "1996-07-17T09:23:25"),
    ("1 Jan 2024 00:00 Z", "2024-01-01T00:00:00"),
    ("1 Jan 2024 00:00:00", "2024-01-01T00:00:00"),
    ("1 Jan 2024 00:00:00 EST", "2024-01-01T05:00:00"),
    ("1 Jan 2024 00:00:00 pdt", "2024-01-01T07:00:00"),
    ("1 Jan 2024 00:00:00 A", "2024-01-01T00:00:00"),
    ("1 Jan 2024 00:00:00 +05:30", "2023-12-31T18:30:00"),
    ("1 Jan 2024 00:00:00 -0000", "2024-01-01T00:00:00"),
    ("Mon 1 January 2024 10.11.12 +0000", "2024-01-01T10:11:12"),
    ("1-Jan-2024 10:11:12 +0000", "2024-01-01T10:11:12"),
    ("Mon, 1 Jan 2024 10:11:12.345 +0000", "2024-01-01T10:11:12"),
    ("31 Dec 2016 23:59:60 +0000", "2017-01-01T00:00:00"),  # a leap second
    ("29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00"),
    ("1 Jan 49 00:00:00 +0000", "2049-01-01T00:00:00"),  # RFC 5322 §4.3
    ("1 Jan 50 00:00:00 +0000", "1950-01-01T00:00:00"),
    ("1 Jan 124 00:00:00 +0000", "2024-01-01T00:00:00"),
    # Other formats
    ("Wed 29 May 2019 06:09:22 PM EDT", "2019-05-29T22:09:22"),  # date(1), en_US
    ("Wed May 29 06:09:22 PM EDT 2019", "2019-05-29T22:09:22"),
    ("Wed May 29 18:09:22 EDT 2019", "2019-05-29T22:09:22"),
    ("Wed May 29 18:09:22 2019", "2019-05-29T18:09:22"),  # asctime(3)
    ("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37"),
    ("Wed May 29 18:09:22 2019 -0400", "2019-05-29T22:09:22"),  # git log
    ("Wed May 29 18:09:22 XYZ 2019", "2019-05-29T18:09:22"),
    ("Wed May 29 2019 18:09:22 GMT+0200 (CEST)", "2019-05-29T16:09:22"),  # JavaScript
    ("Wednesday, 29-May-19 18:09:22 GMT", "2019-05-29T18:09:22"),  # RFC 850
    ("2019-05-29T18:09:22Z", "2019-05-29T18:09:22"),  # ISO 8601
    ("2019-05-29T18:09:22.123-04:00", "2019-05-29T22:09:22"),
    ("2019-05-29T18:09+0200", "2019-05-29T16:09:00"),
    ("2019-05-29 18:09:22 +0200", "2019-05-29T16:09:22"),
    ("2019-05-29 18:09:22", "2019-05-29T18:09:22"),
    ("20190529T180922Z", "2019-05-29T18:09:22"),
    ("20190529T1809+02", "2019-05-29T16:09:00"),
    ("2019-05-29", "2019-05-29T00:00:00"),
    ("2019/05/29 18:09:22", "2019-05-29T18:09:22"),
    ("May 29, 2019 6:09 PM", "2019-05-29T18:09:00"),
    ("Wednesday, May 29, 2019 6:09:22\u202fPM", "2019-05-29T18:09:22"),  # ICU
    ("29 May 2019 6:09 a.m. CEST", "2019-05-29T04:09:00"),
    ("29 May 2019 6 PM", "2019-05-29T18:00:00"),
    ("12:30 AM, 29 May 2019", "2019-05-29T00:30:00"),
    ("12:30 PM, 29 May 2019", "2019-05-29T12:30:00"),
    ("18:09:22 29 May 2019 CET", "2019-05-29T17:09:22"),
    ("29 May 19 18:09", "2019-05-29T18:09:00"),
    ("29th of May 2019 18:09", "2019-05-29T18:09:00"),
    ("29 May 2019", "2019-05-29T00:00:00"),
    ("2019 May 29 18:09", "2019-05-29T18:09:00"),
    ("29.05.2019 18:09", "2019-05-29T18:09:00"),
    ("29.5.19, 18.09", "2019-05-29T18:09:00"),
    ("05/29/2019 06:09:22 PM", "2019-05-29T18:09:22"),
    ("29/05/2019 18:09", "2019-05-29T18:09:00"),
    ("29-05-2019 18:09", "2019-05-29T18:09:00"),
    ("05/06/2019 18:09", None),  # ambiguous
    ("Wed, 29 May 2019 18:9:2 +200", "2019-05-29T16:09:02"),
    ("Wed, 29 May 2019 18:09:22 UTC+2", "2019-05-29T16:09:22"),
    ("Wed, 29 May 2019 18:09:22 JST", "2019-05-29T09:09:22"),
    ("Wed, 29 May 2019 18:09:22 +0200 CEST", "2019-05-29T16:09:22"),
    ("on 29 May 2019 at 18:09", "2019-05-29T18:09:00"),
    ("2019-13-29 18:09", None),
    ("2019-05-32", None),
    ("13:61 29 May 2019", None),
    ("18:09:22", None),
    ("29 February 2023", None),
    ("12345678901234567890", None),
    ("29 Feb 2023 00:00:00 +0000", None),
    ("32 Jan 2024 00:00:00 +0000", None),
    ("1 Foo 2024 00:00:00 +0000", None),
    ("1 Jan 0000 00:00:00 +0000", None),
    ("1 Jan 2024 25:00:00 +0000", None),
    ("1 Jan 2024 00:60:00 +0000", None),
    ("yesterday", None),
    ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), DATES)
def test_dates_are_seconds_since_the_epoch(value: str, expected: str | None) -> None:
    seconds = parse_date(value.encode())
    moment = None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    assert moment == expected


def test_zone_is_that_of_the_field() -> None:
    zones = {value: parse_zoned_date(value.encode()) for value in ("1 Jan 2024 0:00 EDT", "Jan 1 12:00 AM +0530 2024")}
    assert [zone[1] for zone in zones.values() if zone] == [-240, 330]


@given(st.datetimes(datetime(1950, 1, 1), datetime(2049, 1, 1)).map(lambda moment: moment.replace(microsecond=0)))
def test_all_formats_are_equivalent(moment: datetime) -> None:
    expected = int(moment.replace(tzinfo=UTC).timestamp())
    for form in (
        "%a, %d %b %Y %H:%M:%S +0000", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S UTC %Y",
        "%a %d %b %Y %I:%M:%S %p UTC", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ", "%B %d, %Y %I:%M:%S %p",
        "%d.%m.%Y %H:%M:%S", "%d %b %y %H:%M:%S", "%A, %d-%b-%y %H:%M:%S GMT", "%H:%M:%S %d %B %Y",
    ):  # fmt: skip
        assert parse_date(moment.strftime(form).encode()) == expected, moment.strftime(form)


@given(st.text('0123456789 :/-.,TZ+JanMayPMCEST()"', max_size=60) | st.binary(max_size=60))
@settings(max_examples=examples(300))
def test_any_text_is_a_calendar_date_or_none(value: str | bytes) -> None:
    seconds = parse_date(value.encode() if isinstance(value, str) else value)
    assert seconds is None or CALENDAR_START_SECONDS <= seconds < CALENDAR_END_SECONDS
