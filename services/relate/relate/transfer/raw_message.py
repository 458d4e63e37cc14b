"""Line endings and dates of messages in files. Pure."""

import re
from email.utils import parsedate_to_datetime


class TooLarge:
    """Placeholder for a message that exceeds the size limit and was not read."""


_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = rb"(?im)^%s:((?:[^\n]*\n[ \t])*[^\n]*)"
_RECEIVED = re.compile(_FIELD % rb"received")
_DATE = re.compile(_FIELD % rb"date")


def to_crlf(raw: bytes) -> bytes:
    """Convert bare LF to CRLF if the first line ends in LF; a message whose first line ends in CRLF is unchanged."""
    end = raw.find(b"\n")
    if end < 0 or raw[end - 1 : end] == b"\r":
        return raw
    return _BARE_LF.sub(b"\r\n", raw)


def header_of(raw: bytes) -> bytes:
    """The header, without the empty line at its end."""
    end = _HEADER_END.search(raw)
    return raw[: end.start()] if end else raw


def received_date(raw: bytes) -> int | None:
    """The date of the first Received field, else of Date, in seconds since the epoch; None without a valid one."""
    header = header_of(raw)
    if (received := _RECEIVED.search(header)) and (date := _parse_date(received[1].rpartition(b";")[2])) is not None:
        return date
    return _parse_date(date_field[1]) if (date_field := _DATE.search(header)) else None


def _parse_date(field: bytes) -> int | None:
    try:
        return int(parsedate_to_datetime(field.decode("ascii", "replace").strip()).timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
