"""Date: fields, as RFC 5322 has them, had them, and as they come."""

from datetime import UTC, datetime

import pytest

from relate_mailstore.mime import parse_date

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
