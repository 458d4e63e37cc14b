"""The octets of messages in files: line ends, and the date of a message that its file does not tell. Pure."""

import re
from email.utils import parsedate_to_datetime


class TooLarge:
    """Stands for a message that is larger than a message may be, and was not read."""


_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = rb"(?im)^%s:((?:[^\n]*\n[ \t])*[^\n]*)"
_RECEIVED = re.compile(_FIELD % rb"received")
_DATE = re.compile(_FIELD % rb"date")


def with_crlf(raw: bytes) -> bytes:
    """A message as mail is stored. Where the first line ends with LF alone, all that do so get CRLF; else as it is."""
    end = raw.find(b"\n")
    if end < 0 or raw[end - 1 : end] == b"\r":
        return raw
    return _BARE_LF.sub(b"\r\n", raw)


def header_of(raw: bytes) -> bytes:
    """The header, without the empty line."""
    end = _HEADER_END.search(raw)
    return raw[: end.start()] if end else raw


def date_of(raw: bytes) -> int | None:
    """When a message was received, in seconds since the epoch: by its first Received field, else by Date."""
    header = header_of(raw)
    if (received := _RECEIVED.search(header)) and (date := _parse(received[1].rpartition(b";")[2])) is not None:
        return date
    return _parse(date_field[1]) if (date_field := _DATE.search(header)) else None


def _parse(field: bytes) -> int | None:
    try:
        return int(parsedate_to_datetime(field.decode("ascii", "replace").strip()).timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
