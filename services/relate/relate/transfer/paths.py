"""Names of mailboxes as paths: a folder a level. Pure.

What a file system or a Maildir would misunderstand is written as %XX: a "." at the start, control characters,
backslash, colon, a percent sign, and the names of a Maildir's own folders.
"""

import re
from pathlib import PurePath

from relate.transfer.errors import TransferError
from relate_imap.grammar.mailbox_names import decode_utf7
from relate_mailstore.mailbox_names import DELIMITER
from relate_mailstore.types import INBOX

MAX_LEVEL_OCTETS = 240  # a file's name may have 255, a suffix included

_UNSAFE = re.compile(
    r"""
    \A\.                                                      # hidden, or the folder above
    | [\x00-\x1f\x7f%\\:*?"<>|]
    | \A(?=(?:cur|new|tmp|dovecot-keywords)\Z).               # of a Maildir
    | (?=\.(?:eml|mbox|sbd|jsonl)\Z)\.                       # of what is a file, or is left out of a name
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ESCAPED = re.compile("%([0-9A-F]{2})")
_SUFFIX = re.compile(r"(?<=.)\.(?:mbox|sbd)\Z", re.IGNORECASE)  # of mbox files, and of Thunderbird's folders of them


def path_of(name: str) -> PurePath:
    """A relative path for a mailbox. Raises TransferError for a level that is too long for a file system."""
    return PurePath(*map(_escape_checked, name.split(DELIMITER)))


def name_of(path: PurePath) -> str:
    """The inverse of `path_of`, without suffixes; folders of other programs keep their names. "" for no path."""
    return DELIMITER.join(_unescape(_SUFFIX.sub("", level)) for level in path.parts)


def name_of_subfolder(directory: str) -> str:
    """The mailbox of a folder within a Maildir (Maildir++: `.Archive.2020`), in modified UTF-7."""
    return DELIMITER.join(decode_utf7(level) for level in directory.split(".") if level)


def below(root: str, name: str) -> str:
    """The mailbox for a folder of a tree; `root` is the one for the tree itself, and INBOX has none below it."""
    if not name:
        return root
    return name if root == INBOX else f"{root}{DELIMITER}{name}"


def _escape_checked(level: str) -> str:
    escaped = _escape(level)
    if len(escaped.encode()) > MAX_LEVEL_OCTETS:
        raise TransferError(f"the name of the mailbox is too long for a file: {level[:60]}…")
    return escaped


def _escape(level: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", level)


def _unescape(level: str) -> str:
    """Only what `_escape` makes: `50%20off` is the name that another program gave."""
    name = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), level)
    return name if _escape(name) == level else level
