r"""Reads and writes mbox files (RFC 4155) as mboxrd: a message's line `>*From ` has one more `>` in the file.

Flags are stored in header fields (`mbox_flags`). Files have LF lines: a round trip turns bare LF into CRLF, and adds a
line ending to a last line that has none.

The standard library's `mailbox` is not used: it does not read mboxrd, changes octets, and indexes the whole file.
"""

import re
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from relate.transfer.flags import FLAG_NAMES, parse_flags
from relate.transfer.raw_message import TooLarge, received_date, to_crlf
from relate_mailstore.mbox_flags import LETTERS, flag_fields
from relate_mailstore.types import Entry, NewMessage
from relate_mime.writing.mbox import MboxEncoder, mbox_separator

SUFFIX = ".mbox"
LINE_OCTETS = 64 * 1024  # longer lines are read in pieces

# "From alice@example.test Sat Jan  3 01:05:34 1996", optionally with a time zone. Thunderbird writes just "From ".
_SEPARATOR = re.compile(
    rb"From(?: +\S+)? +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\w{3}) +(\d{1,2}) (\d\d):(\d\d)(?::(\d\d))?"
    rb"(?: [-+A-Za-z0-9]{1,6}){0,2} (\d{4})(?: [-+A-Za-z0-9]{1,6})?[ \t]*\r?\n"
)
_BARE_SEPARATOR = re.compile(rb"From[ -]*\r?\n")
_QUOTED = re.compile(rb"(?m)^>(>*From )")
# The three fields that `MboxWriter` writes at the top; later ones with the same names belong to the message.
_WRITTEN_FIELDS = re.compile(rb"Status:([^\n]*)\nX-Status:([^\n]*)\nX-Keywords:([^\n]*)\n")
_FIELD = re.compile(rb"(?im)^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase):([^\n]*(?:\n[ \t][^\n]*)*)\n")
# Alpine and UW IMAP store UIDs in a pseudo-message at the top of the file.
_INTERNAL_DATA = re.compile(rb"(?:[^\n]+\n){0,10}Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r?\n")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def is_mbox(path: Path) -> bool:
    """Whether the first line is a separator; for an empty file, whether its name ends in .mbox."""
    with path.open("rb") as file:
        line = file.readline(LINE_OCTETS)
    return _is_separator(line) if line else path.suffix.lower() == SUFFIX


def read_mbox(path: Path, limit: int) -> Iterator[NewMessage | TooLarge]:
    """Read the messages of a file one at a time; `limit` is the maximum size of a message in octets."""
    with path.open("rb") as file:
        for separator, raw in _split(file, limit):
            if raw is None:
                yield TooLarge()
            elif not _INTERNAL_DATA.match(raw):
                yield _message(separator, raw)


def count_mbox(path: Path) -> int:
    """The number of messages in a file."""
    with path.open("rb") as file:
        return sum(1 for _ in _split(file, 0))


def _split(file: IO[bytes], limit: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield each separator with the message after it, without the empty line at its end; None if it is too large."""
    separator, lines, octets = b"", list[bytes](), 0
    starts_line, after_empty = True, True
    while line := file.readline(LINE_OCTETS):
        if starts_line and after_empty and _is_separator(line):
            if separator:
                yield separator, _join_lines(lines, octets, limit)
            separator, lines, octets = line, [], 0
        else:
            octets += len(line)
            if octets <= limit:
                lines.append(line)
        after_empty = starts_line and line in (b"\n", b"\r\n")
        starts_line = line.endswith(b"\n")
    if separator:
        yield separator, _join_lines(lines, octets, limit)


def _join_lines(lines: list[bytes], octets: int, limit: int) -> bytes | None:
    if octets > limit:
        return None
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return b"".join(lines)


def _is_separator(line: bytes) -> bool:
    return line.startswith(b"From") and bool(_SEPARATOR.fullmatch(line) or _BARE_SEPARATOR.fullmatch(line))


def _message(separator: bytes, raw: bytes) -> NewMessage:
    raw = _QUOTED.sub(rb"\1", raw)
    raw, names = _extract_flag_fields(raw)
    flags, keywords = parse_flags(names)
    raw = to_crlf(raw)
    date = _separator_date(separator)
    return NewMessage(raw, flags, keywords, received_date(raw) if date is None else date)


def _extract_flag_fields(raw: bytes) -> tuple[bytes, list[str]]:
    """The message without the fields that store flags, and the names of these flags."""
    written = _WRITTEN_FIELDS.match(raw)
    if written:
        return raw[written.end() :], _flag_names(written[1] + written[2], written[3])
    end = re.search(rb"\n\r?\n", raw)
    stop = end.start() + 1 if end else len(raw)
    header = raw[:stop]
    fields = {name.lower(): value for name, value in reversed(_FIELD.findall(header))}
    letters = fields.get(b"status", b"") + fields.get(b"x-status", b"")
    return _FIELD.sub(b"", header) + raw[stop:], _flag_names(letters, fields.get(b"x-keywords", b""))


def _flag_names(letters: bytes, keywords: bytes) -> list[str]:
    flags = [FLAG_NAMES[flag] for letter, flag in LETTERS.items() if letter.encode() in letters]
    return [*flags, *keywords.decode("utf-8", "replace").split()]


def _separator_date(separator: bytes) -> int | None:
    """The date of a separator line, interpreted as UTC because most programs write UTC."""
    match = _SEPARATOR.fullmatch(separator)
    if match is None or match[1] not in _MONTHS:
        return None
    month = _MONTHS.index(match[1]) + 1
    day, hour, minute, second, year = (int(number or 0) for number in match.group(2, 3, 4, 5, 6))
    return timegm((year, month, day, hour, minute, second))


class MboxWriter:
    """Writes the messages of one mailbox to a new file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def write(self, entry: Entry, raw: bytes) -> None:
        """See `exporter.Writer`."""
        encoder = MboxEncoder()
        self._file.write(mbox_separator(entry.internal_date) + flag_fields(entry.flags, entry.keywords))
        self._file.write(encoder.encode(raw))
        self._file.write(encoder.finish())

    def close(self) -> None:
        """See `exporter.Writer`."""
        self._file.close()
