"""Files as the source of an import: what there is at a path, found out by looking.

A file is an mbox (by its first line) or a message. A folder is a Maildir, with the folders of Maildir++ within it, or a
tree of mbox files, Maildirs and folders of .eml files, in which paths are the names of mailboxes.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relate.transfer.eml import SIDECAR, begins_with_field, is_eml, read_eml
from relate.transfer.errors import TransferError
from relate.transfer.importing import in_portions
from relate.transfer.maildir import SUBFOLDERS, count_maildir, is_maildir, read_maildir
from relate.transfer.mbox import count_mbox, is_mbox, read_mbox
from relate.transfer.octets import TooLarge
from relate.transfer.paths import below, name_of, name_of_subfolder
from relate.transfer.stored import StoredMessages
from relate.transfer.tally import Tally
from relate_imap.handlers.mailboxes import new_name
from relate_imap.replies import Refused
from relate_mailstore.types import NewMessage

Read = Callable[[], Iterator[tuple[str, NewMessage | TooLarge]]]
"""Yields messages in order, each with what to call it in a report."""


@dataclass(frozen=True)
class FileFolder:
    """What goes into one mailbox: an mbox, a Maildir, or .eml files of one folder."""

    path: Path
    name: str
    count: Callable[[], int]
    read: Read
    limit: int
    special_use: str = ""
    subscribed: bool = True

    async def portions(self, stored: StoredMessages, tally: Tally) -> AsyncIterator[Sequence[NewMessage]]:
        """Its messages in order, stored ones too: their octets tell them. Raises TransferError, OSError."""
        tally.begin(self.name, self.count())
        for portion in in_portions(self._messages(tally)):
            yield portion

    def _messages(self, tally: Tally) -> Iterator[NewMessage]:
        for label, message in self.read():
            if isinstance(message, TooLarge):
                tally.skip(f"{self.path}: {label}", f"a message may have {self.limit} octets")
            elif not message.raw:
                tally.skip(f"{self.path}: {label}", "the message is empty")
            else:
                yield message


def file_folders(root: Path, mailbox: str, limit: int, tally: Tally) -> list[FileFolder]:
    """What there is at a path, `mailbox` being for its own messages; `limit`: octets of a message.

    Files that are no mail are skipped, and said. Raises TransferError where there is no mail, OSError.
    """
    if not root.exists():
        raise TransferError(f"there is no {root}")
    found = _at_file(root, mailbox, limit) if root.is_file() else list(_below(root, root, mailbox, limit, tally))
    if not found and not tally.skipped:
        raise TransferError(f"there is no mail in {root}: neither mbox files, nor Maildirs, nor .eml files")
    return list(_with_valid_names(found, tally))


def _at_file(path: Path, mailbox: str, limit: int) -> list[FileFolder]:
    if is_mbox(path):
        return [_mbox(path, mailbox, limit)]
    return [_emls(path.parent, [path], mailbox, limit)] if is_eml(path) or begins_with_field(path) else []


def _below(folder: Path, root: Path, mailbox: str, limit: int, tally: Tally) -> Iterator[FileFolder]:
    name = below(mailbox, name_of(folder.relative_to(root)))
    children = sorted(folder.iterdir())
    if is_maildir(folder):
        yield _maildir(folder, name, limit)
        yield from _subfolders(children, name, limit)
        files = []
    else:
        files = [child for child in children if child.is_file()]
    emls = [file for file in files if is_eml(file)]
    if emls or folder / SIDECAR in files:
        yield _emls(folder, emls, name, limit)
    for file in files:
        if not is_eml(file) and is_mbox(file):
            yield _mbox(file, below(mailbox, name_of(file.relative_to(root))), limit)
        elif not is_eml(file) and file.name != SIDECAR and file.stat().st_size:
            tally.leave_out(str(file))
    for child in children:
        if _is_level(child) and not (is_maildir(folder) and child.name in SUBFOLDERS):
            yield from _below(child, root, mailbox, limit, tally)


def _is_level(child: Path) -> bool:
    """Whether a folder is one of the tree; a link may lead round in a circle."""
    return child.is_dir() and not child.is_symlink() and not child.name.startswith(".")


def _subfolders(children: Sequence[Path], name: str, limit: int) -> Iterator[FileFolder]:
    """Those of Maildir++, which lie side by side in the Maildir of the account."""
    for child in children:
        if child.name.startswith(".") and child.is_dir() and is_maildir(child):
            yield _maildir(child, below(name, name_of_subfolder(child.name)), limit)


def _mbox(path: Path, name: str, limit: int) -> FileFolder:
    def read() -> Iterator[tuple[str, NewMessage | TooLarge]]:
        return ((f"message {number}", message) for number, message in enumerate(read_mbox(path, limit), 1))

    return FileFolder(path, name, lambda: count_mbox(path), read, limit)


def _maildir(path: Path, name: str, limit: int) -> FileFolder:
    return FileFolder(path, name, lambda: count_maildir(path), lambda: read_maildir(path, limit), limit)


def _emls(folder: Path, files: Sequence[Path], name: str, limit: int) -> FileFolder:
    return FileFolder(folder, name, lambda: len(files), lambda: read_eml(files, limit), limit)


def _with_valid_names(found: Sequence[FileFolder], tally: Tally) -> Iterator[FileFolder]:
    for folder in found:
        try:
            name = new_name(os.fsencode(folder.name).decode("utf-8", "replace"))
        except Refused as refused:
            tally.skip(str(folder.path), str(refused))
        else:
            yield FileFolder(folder.path, name, folder.count, folder.read, folder.limit)
