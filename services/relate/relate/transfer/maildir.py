"""Reads and writes Maildirs: one file per message, flags as letters in its name, the internal date as its mtime.

Keywords are the letters a to z, which the file `dovecot-keywords` in the Maildir names; P ("passed") is $Forwarded. The
27th and later keywords of a mailbox have no letter and are dropped.

The standard library's `mailbox` is not used, because it does not support keywords, and changes octets.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

from relate.transfer.flags import FLAG_NAMES, parse_flags
from relate.transfer.raw_message import TooLarge, to_crlf
from relate_mailstore.types import Entry, Flag, NewMessage

SUBFOLDERS = ("cur", "new", "tmp")
KEYWORDS_FILE = "dovecot-keywords"
FORWARDED = "$Forwarded"

_LETTERS = {"D": Flag.DRAFT, "F": Flag.FLAGGED, "R": Flag.ANSWERED, "S": Flag.SEEN, "T": Flag.DELETED}
_INFO = re.compile(r"[:;!]2,([A-Za-z]*)\Z")
# Dovecot's W= field: the size of the message with CRLF. A file of that size already has CRLF.
_CRLF_OCTETS = re.compile(r",W=(\d+)")
_NUMBER = re.compile(r"\d+")


def is_maildir(path: Path) -> bool:
    """Whether a folder has the subfolders `cur` and `new`."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def count_maildir(path: Path) -> int:
    """The number of messages in a Maildir."""
    return sum(1 for _ in _message_files(path))


def read_maildir(path: Path, limit: int) -> Iterator[tuple[str, NewMessage | TooLarge]]:
    """Read the messages ordered by the numbers in their names; `limit` is the maximum size of a message in octets."""
    keywords = _read_keywords(path / KEYWORDS_FILE)
    for file in sorted(_message_files(path), key=_sort_key):
        status = file.stat()
        if status.st_size > limit:
            yield file.name, TooLarge()
            continue
        raw = file.read_bytes()
        size = _CRLF_OCTETS.search(file.name)
        if size is None or int(size[1]) != len(raw):
            raw = to_crlf(raw)
        flags, names = parse_flags(_flag_names(file.name, keywords))
        yield file.name, NewMessage(raw, flags, names, int(status.st_mtime))


def _message_files(path: Path) -> Iterator[Path]:
    for folder in ("new", "cur"):
        yield from (file for file in (path / folder).iterdir() if not file.name.startswith(".") and file.is_file())


def _sort_key(file: Path) -> tuple[int, str]:
    number = _NUMBER.match(file.name)
    return int(number[0]) if number else 0, file.name


def _read_keywords(path: Path) -> dict[str, str]:
    """Keywords by letter; a line of the file has a number and a keyword."""
    if not path.is_file():
        return {}
    lines = (line.split(" ", 1) for line in path.read_text("utf-8", "replace").splitlines())
    pairs = [(int(line[0]), line[1]) for line in lines if len(line) == 2 and line[0].isdecimal()]
    return {ascii_lowercase[number]: keyword for number, keyword in pairs if number < len(ascii_lowercase)}


def _flag_names(name: str, keywords: dict[str, str]) -> Iterator[str]:
    info = _INFO.search(name)
    for letter in info[1] if info else "":
        if letter in _LETTERS:
            yield FLAG_NAMES[_LETTERS[letter]]
        elif letter == "P":
            yield FORWARDED
        elif letter in keywords:
            yield keywords[letter]


class MaildirWriter:
    """Writes the messages of one mailbox to a new Maildir."""

    def __init__(self, path: Path) -> None:
        self._path = path
        for name in SUBFOLDERS:
            (path / name).mkdir(parents=True)
        self._letters: dict[str, str] = {}
        self.keywords_dropped = 0

    def write(self, entry: Entry, raw: bytes) -> None:
        """See `exporter.Writer`. The file name starts with the UID, so that an import keeps the order."""
        base = f"{entry.uid:010}.{entry.message_id.hex}.relate,S={len(raw)},W={len(raw)}"
        temporary = self._path / "tmp" / base
        temporary.write_bytes(raw)
        os.utime(temporary, (entry.internal_date, entry.internal_date))
        temporary.rename(self._path / "cur" / f"{base}:2,{self._info(entry)}")

    def close(self) -> None:
        """Write the file that maps letters to keywords."""
        if self._letters:
            lines = (f"{number} {keyword}\n" for number, keyword in enumerate(self._letters))
            (self._path / KEYWORDS_FILE).write_text("".join(lines), "utf-8")

    def _info(self, entry: Entry) -> str:
        letters = [letter for letter, flag in _LETTERS.items() if entry.flags & flag]
        return "".join(sorted([*letters, *self._keyword_letters(entry)]))

    def _keyword_letters(self, entry: Entry) -> Iterator[str]:
        for keyword in entry.keywords:
            if keyword == FORWARDED:
                yield "P"
            elif keyword in self._letters or len(self._letters) < len(ascii_lowercase):
                yield self._letters.setdefault(keyword, ascii_lowercase[len(self._letters) % len(ascii_lowercase)])
            else:
                self.keywords_dropped += 1
