"""Conversion of mailbox names to file paths, one directory per hierarchy level. Pure.

Characters that a file system or a Maildir would misinterpret are written as %XX: a leading ".", control characters,
backslash, colon, percent sign, and the names of a Maildir's own folders.
"""

import re
from pathlib import PurePath

from relate.transfer.errors import TransferError
from relate_imap.grammar.mailbox_names import decode_utf7
from relate_mailstore.mailbox_names import DELIMITER
from relate_mailstore.types import INBOX

MAX_LEVEL_OCTETS = 240  # file systems allow 255, including a suffix

_UNSAFE = re.compile(
    r"""
    \A\.                                                      # hidden files, "." and ".."
    | [\x00-\x1f\x7f%\\:*?"<>|]
    | \A(?=(?:cur|new|tmp|dovecot-keywords)\Z).               # names inside a Maildir
    | (?=\.(?:eml|mbox|sbd|jsonl)\Z)\.                        # suffixes of mail files
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ESCAPED = re.compile("%([0-9A-F]{2})")
_SUFFIX = re.compile(r"(?<=.)\.(?:mbox|sbd)\Z", re.IGNORECASE)  # of mbox files and of Thunderbird's folders


def mailbox_path(name: str) -> PurePath:
    """The relative path of a mailbox. Raises TransferError if a level is too long for a file system."""
    return PurePath(*map(_escape_level, name.split(DELIMITER)))


def mailbox_name(path: PurePath) -> str:
    """The mailbox of a path: the inverse of `mailbox_path`. Suffixes are dropped; "" for an empty path."""
    return DELIMITER.join(_unescape(_SUFFIX.sub("", level)) for level in path.parts)


def subfolder_mailbox(directory: str) -> str:
    """The mailbox of a Maildir++ subfolder (`.Archive.2020`, in modified UTF-7)."""
    return DELIMITER.join(decode_utf7(level) for level in directory.split(".") if level)


def join_mailbox(root: str, name: str) -> str:
    """The mailbox for the path `name` below `root`; below INBOX, folders become top-level mailboxes."""
    if not name:
        return root
    return name if root == INBOX else f"{root}{DELIMITER}{name}"


def _escape_level(level: str) -> str:
    escaped = _escape(level)
    if len(escaped.encode()) > MAX_LEVEL_OCTETS:
        raise TransferError(f"the mailbox name is too long for a file name: {level[:60]}…")
    return escaped


def _escape(level: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", level)


def _unescape(level: str) -> str:
    """Undo `_escape`, and nothing else: `50%20off` may be the name that another program chose."""
    name = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), level)
    return name if _escape(name) == level else level
