"""A folder of .eml files, each a message's octets; beside them `messages.jsonl` with flags and internal dates.

A line of that file is a JSON object: `file`, `size` in octets, `flags` (system flags and keywords), `internalDate` in
seconds since the epoch. Without it there are no flags, and the date is that of the header's first Received field, of
Date, or the file's.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from relate.transfer.errors import TransferError
from relate.transfer.flags import flag_names, parse_flags
from relate.transfer.octets import TooLarge, date_of, with_crlf
from relate_mailstore.types import Entry, NewMessage

SUFFIX = ".eml"
FIELD_NAME_OCTETS = 200  # longer than the name of any field
SIDECAR = "messages.jsonl"

_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")


def is_eml(path: Path) -> bool:
    """Whether a file is one: by its name."""
    return path.suffix.lower() == SUFFIX


def begins_with_field(path: Path) -> bool:
    """Whether a file of another name may be a message: its first line is a header field (RFC 5322 §2.2)."""
    with path.open("rb") as file:
        return bool(_FIELD_NAME.match(file.read(FIELD_NAME_OCTETS)))


def read_eml(files: Sequence[Path], limit: int) -> Iterator[tuple[str, NewMessage | TooLarge]]:
    """The messages of files of one folder, in the order given, each with its name; `limit`: octets of a message.

    Raises TransferError for a `messages.jsonl` that cannot be read.
    """
    described = _read_sidecar(files[0].with_name(SIDECAR)) if files else {}
    for file in files:
        status = file.stat()
        if status.st_size > limit:
            yield file.name, TooLarge()
            continue
        raw = file.read_bytes()
        if found := described.get(file.name):
            flags, keywords = parse_flags(found["flags"])
            octets = raw if found["size"] == len(raw) else with_crlf(raw)
            yield file.name, NewMessage(octets, flags, keywords, found["internalDate"])
        else:
            raw = with_crlf(raw)
            date = date_of(raw)
            yield file.name, NewMessage(raw, internal_date=int(status.st_mtime) if date is None else date)


def _read_sidecar(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as lines:
            return {one["file"]: _checked(one) for one in map(json.loads, lines)}
    except (ValueError, TypeError, KeyError) as error:
        raise TransferError(f"{path} cannot be read: {error}") from None


def _checked(one: dict[str, Any]) -> dict[str, Any]:
    if not (
        isinstance(one["size"], int)
        and isinstance(one["internalDate"], int)
        and isinstance(one["flags"], list)
        and all(isinstance(flag, str) for flag in one["flags"])
    ):
        raise ValueError("a line is not what an export writes")
    return one


class EmlWriter:
    """Writes the messages of a mailbox to a folder that is made."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)  # a mailbox below may have made it
        self._path = path
        self._sidecar = (path / SIDECAR).open("x", encoding="utf-8")

    def write(self, entry: Entry, raw: bytes) -> None:
        """Add a message; its name is its UID, so that the order is kept."""
        file = self._path / f"{entry.uid:010}{SUFFIX}"
        with file.open("xb") as opened:
            opened.write(raw)
        os.utime(file, (entry.internal_date, entry.internal_date))
        described = {
            "file": file.name,
            "size": len(raw),
            "flags": list(flag_names(entry.flags, entry.keywords)),
            "internalDate": entry.internal_date,
        }
        self._sidecar.write(json.dumps(described) + "\n")

    def close(self) -> None:
        """Finish `messages.jsonl`."""
        self._sidecar.close()
