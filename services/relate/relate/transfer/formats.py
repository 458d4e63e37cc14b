"""The file formats of `relate export`."""

from enum import StrEnum


class Format(StrEnum):
    """The value of `--format`."""

    MBOX = "mbox"
    MAILDIR = "maildir"
    EML = "eml"
