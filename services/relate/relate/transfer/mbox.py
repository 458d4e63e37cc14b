r"""mbox (RFC 4155), as mboxrd: a line `>*From ` of a message has one more `>` in the file.

Flags are in header fields, as Dovecot, mutt and Alpine keep them: Status (R read, O old), X-Status (A answered,
F flagged, T draft, D deleted), X-Keywords. Files have LF lines. What changes on the way out and in again: line ends
that are not CRLF, and a last line without an end, which gets one.

Not by the standard library's `mailbox`: it reads no mboxrd, changes octets, and holds an index of the file.
"""

import re
import time
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from relate.transfer.flags import NAMES, parse_flags
from relate.transfer.octets import TooLarge, date_of, with_crlf
from relate_mailstore.types import Entry, Flag, NewMessage

SUFFIX = ".mbox"
LINE_OCTETS = 64 * 1024  # read at a time of a line that is longer

# "From alice@example.test Sat Jan  3 01:05:34 1996", with a zone perhaps. Thunderbird writes "From " alone.
_SEPARATOR = re.compile(
    rb"From(?: +\S+)? +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\w{3}) +(\d{1,2}) (\d\d):(\d\d)(?::(\d\d))?"
    rb"(?: [-+A-Za-z0-9]{1,6}){0,2} (\d{4})(?: [-+A-Za-z0-9]{1,6})?[ \t]*\r?\n"
)
_BARE_SEPARATOR = re.compile(rb"From[ -]*\r?\n")
_QUOTED = re.compile(rb"(?m)^>(>*From )")
_TO_QUOTE = re.compile(rb"(?m)^(>*From )")
# At the top they are ours, and others that come later are the message's own.
_OUR_FIELDS = re.compile(rb"Status:([^\n]*)\nX-Status:([^\n]*)\nX-Keywords:([^\n]*)\n")
_FIELD = re.compile(rb"(?im)^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase):([^\n]*(?:\n[ \t][^\n]*)*)\n")
# The first message of an mbox of Alpine and UW IMAP is their own: the fields that hold the UIDs.
_INTERNAL_DATA = re.compile(rb"(?:[^\n]+\n){0,10}Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r?\n")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

_LETTERS = {"R": Flag.SEEN, "A": Flag.ANSWERED, "F": Flag.FLAGGED, "T": Flag.DRAFT, "D": Flag.DELETED}


def is_mbox(path: Path) -> bool:
    """Whether a file is one: by its first line, or by its name where it is empty."""
    with path.open("rb") as file:
        line = file.readline(LINE_OCTETS)
    return _is_separator(line) if line else path.suffix.lower() == SUFFIX


def read_mbox(path: Path, limit: int) -> Iterator[NewMessage | TooLarge]:
    """The messages of a file, one at a time; `limit`: octets of a message."""
    with path.open("rb") as file:
        for separator, raw in _split(file, limit):
            if raw is None:
                yield TooLarge()
            elif not _INTERNAL_DATA.match(raw):
                yield _message(separator, raw)


def count_mbox(path: Path) -> int:
    """How many messages a file has."""
    with path.open("rb") as file:
        return sum(1 for _ in _split(file, 0))


def _split(file: IO[bytes], limit: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Each separator line with the octets that follow it, without the empty line at their end; None for too many."""
    separator, lines, octets = b"", list[bytes](), 0
    starts_line, after_empty = True, True
    while line := file.readline(LINE_OCTETS):
        if starts_line and after_empty and _is_separator(line):
            if separator:
                yield separator, _joined(lines, octets, limit)
            separator, lines, octets = line, [], 0
        else:
            octets += len(line)
            if octets <= limit:
                lines.append(line)
        after_empty = starts_line and line in (b"\n", b"\r\n")
        starts_line = line.endswith(b"\n")
    if separator:
        yield separator, _joined(lines, octets, limit)


def _joined(lines: list[bytes], octets: int, limit: int) -> bytes | None:
    if octets > limit:
        return None
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return b"".join(lines)


def _is_separator(line: bytes) -> bool:
    return line.startswith(b"From") and bool(_SEPARATOR.fullmatch(line) or _BARE_SEPARATOR.fullmatch(line))


def _message(separator: bytes, raw: bytes) -> NewMessage:
    raw = _QUOTED.sub(rb"\1", raw)
    raw, names = _take_fields(raw)
    flags, keywords = parse_flags(names)
    raw = with_crlf(raw)
    date = _date(separator)
    return NewMessage(raw, flags, keywords, date_of(raw) if date is None else date)


def _take_fields(raw: bytes) -> tuple[bytes, list[str]]:
    """The message without the fields that hold its flags, and the names of these."""
    ours = _OUR_FIELDS.match(raw)
    if ours:
        return raw[ours.end() :], _names(ours[1] + ours[2], ours[3])
    end = re.search(rb"\n\r?\n", raw)
    stop = end.start() + 1 if end else len(raw)
    header = raw[:stop]
    fields = {name.lower(): value for name, value in reversed(_FIELD.findall(header))}
    letters = fields.get(b"status", b"") + fields.get(b"x-status", b"")
    return _FIELD.sub(b"", header) + raw[stop:], _names(letters, fields.get(b"x-keywords", b""))


def _names(letters: bytes, keywords: bytes) -> list[str]:
    flags = [NAMES[flag] for letter, flag in _LETTERS.items() if letter.encode() in letters]
    return [*flags, *keywords.decode("utf-8", "replace").split()]


def _date(separator: bytes) -> int | None:
    """The date of a separator line, as UTC: what most programs mean."""
    match = _SEPARATOR.fullmatch(separator)
    if match is None or match[1] not in _MONTHS:
        return None
    month = _MONTHS.index(match[1]) + 1
    day, hour, minute, second, year = (int(number or 0) for number in match.group(2, 3, 4, 5, 6))
    return timegm((year, month, day, hour, minute, second))


class MboxWriter:
    """Writes the messages of a mailbox to a file that is made."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def write(self, entry: Entry, raw: bytes) -> None:
        """Add a message."""
        date = time.asctime(time.gmtime(entry.internal_date)).encode("ascii")
        self._file.write(b"From MAILER-DAEMON %s\n" % date)
        self._file.write(_fields(entry).encode("ascii"))
        lines = _TO_QUOTE.sub(rb">\1", raw.replace(b"\r\n", b"\n"))
        self._file.write(lines)
        self._file.write(b"\n" if lines.endswith(b"\n") else b"\n\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _fields(entry: Entry) -> str:
    status = "RO" if entry.flags & Flag.SEEN else "O"
    letters = "".join(letter for letter, flag in _LETTERS.items() if letter != "R" and entry.flags & flag)
    return f"Status: {status}\nX-Status: {letters}\nX-Keywords: {' '.join(entry.keywords)}\n"
