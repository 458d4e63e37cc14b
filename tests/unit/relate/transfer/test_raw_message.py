import pytest

from relate.transfer.raw_message import received_date, to_crlf


@pytest.mark.parametrize(
    ("octets", "converted"),
    [
        (b"a: b\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\r\n\r\nc\nd", b"a: b\r\n\r\nc\nd"),  # the first line ends in CRLF, so bare LF is content
        (b"a: b\n\nc\r\nd\n", b"a: b\r\n\r\nc\r\nd\r\n"),
        (b"\n\nc", b"\r\n\r\nc"),
        (b"no line", b"no line"),
        (b"", b""),
    ],
)
def test_bare_lf_becomes_crlf(octets: bytes, converted: bytes) -> None:
    assert to_crlf(octets) == converted


@pytest.mark.parametrize(
    ("raw", "date"),
    [
        (b"Received: by a;\r\n Sat, 3 Jan 1998 01:05:34 +0000\r\nReceived: by b; Sat, 3 Jan 1976\r\n\r\n", 883_789_534),
        (b"DATE: Sat, 3 Jan 1998 02:05:34 +0100\n\nDate: none", 883_789_534),
        (b"Received: by a\nDate: Sat, 3 Jan 1998 01:05:34 +0000\n\n", 883_789_534),
        (b"Date: yesterday\n\n", None),
        (b"Date: Sat, 3 Jan 99998 02:05:34 +0100\n\n", None),
        (b"Subject: none\n\nDate: Sat, 3 Jan 1998 02:05:34 +0100", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_date_comes_from_received_or_date(raw: bytes, date: int | None) -> None:
    assert received_date(raw) == date
