"""The forms of files."""

from enum import StrEnum


class Format(StrEnum):
    """What mail is exported as."""

    MBOX = "mbox"
    MAILDIR = "maildir"
    EML = "eml"
