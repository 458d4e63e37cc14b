"""Reads and writes folders of .eml files, one message per file; `messages.jsonl` holds flags and internal dates.

Each line of that file is a JSON object: `file`, `size` in octets, `flags` (system flags and keywords), `internalDate`
in seconds since the epoch. Without it, messages have no flags, and their date is that of the first Received field, of
Date, or the file's mtime.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from relate.transfer.errors import TransferError
from relate.transfer.flags import flag_names, parse_flags
from relate.transfer.raw_message import TooLarge, received_date, to_crlf
from relate_mailstore.types import Entry, NewMessage

SUFFIX = ".eml"
FIELD_NAME_OCTETS = 200  # longer than the name of any field
SIDECAR = "messages.jsonl"

_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")


def is_eml(path: Path) -> bool:
    """Whether the name ends in .eml."""
    return path.suffix.lower() == SUFFIX


def begins_with_field(path: Path) -> bool:
    """Whether the first line is a header field (RFC 5322 §2.2), so that a file with another suffix may be a message."""
    with path.open("rb") as file:
        return bool(_FIELD_NAME.match(file.read(FIELD_NAME_OCTETS)))


def read_eml(files: Sequence[Path], limit: int) -> Iterator[tuple[str, NewMessage | TooLarge]]:
    """Read the messages of files in one folder in the given order; `limit` is the maximum message size in octets.

    Raises TransferError for a malformed `messages.jsonl`.
    """
    metadata = _read_sidecar(files[0].with_name(SIDECAR)) if files else {}
    for file in files:
        status = file.stat()
        if status.st_size > limit:
            yield file.name, TooLarge()
            continue
        raw = file.read_bytes()
        if found := metadata.get(file.name):
            flags, keywords = parse_flags(found["flags"])
            octets = raw if found["size"] == len(raw) else to_crlf(raw)
            yield file.name, NewMessage(octets, flags, keywords, found["internalDate"])
        else:
            raw = to_crlf(raw)
            date = received_date(raw)
            yield file.name, NewMessage(raw, internal_date=int(status.st_mtime) if date is None else date)


def _read_sidecar(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as lines:
            return {record["file"]: _validate(record) for record in map(json.loads, lines)}
    except (ValueError, TypeError, KeyError) as error:
        raise TransferError(f"{path} is malformed: {error}") from None


def _validate(record: dict[str, Any]) -> dict[str, Any]:
    if not (
        isinstance(record["size"], int)
        and isinstance(record["internalDate"], int)
        and isinstance(record["flags"], list)
        and all(isinstance(flag, str) for flag in record["flags"])
    ):
        raise ValueError("a line has a property of the wrong type")
    return record


class EmlWriter:
    """Writes the messages of one mailbox to a folder."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)  # exists if a mailbox below it was exported first
        self._path = path
        self._sidecar = (path / SIDECAR).open("x", encoding="utf-8")

    def write(self, entry: Entry, raw: bytes) -> None:
        """See `exporter.Writer`. The file name is the UID, so that an import keeps the order."""
        file = self._path / f"{entry.uid:010}{SUFFIX}"
        with file.open("xb") as opened:
            opened.write(raw)
        os.utime(file, (entry.internal_date, entry.internal_date))
        metadata = {
            "file": file.name,
            "size": len(raw),
            "flags": list(flag_names(entry.flags, entry.keywords)),
            "internalDate": entry.internal_date,
        }
        self._sidecar.write(json.dumps(metadata) + "\n")

    def close(self) -> None:
        """Close `messages.jsonl`."""
        self._sidecar.close()
