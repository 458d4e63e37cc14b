"""Files as the source of an import; formats are detected by content.

A file is an mbox (by its first line) or a message. A folder is a Maildir, with its Maildir++ subfolders, or a tree of
mbox files, Maildirs and folders of .eml files, whose paths become mailbox names.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relate.transfer.deduplication import StoredMessages
from relate.transfer.eml import SIDECAR, begins_with_field, is_eml, read_eml
from relate.transfer.errors import TransferError
from relate.transfer.importer import split_batches
from relate.transfer.mailbox_paths import join_mailbox, mailbox_name, subfolder_mailbox
from relate.transfer.maildir import SUBFOLDERS, count_maildir, is_maildir, read_maildir
from relate.transfer.mbox import count_mbox, is_mbox, read_mbox
from relate.transfer.raw_message import TooLarge
from relate.transfer.report import TransferReport
from relate_mailstore.errors import InvalidMailboxName
from relate_mailstore.mailbox_names import check_new_name
from relate_mailstore.types import NewMessage

MessageReader = Callable[[], Iterator[tuple[str, NewMessage | TooLarge]]]
"""Yields messages in order, each with a label for the report."""


@dataclass(frozen=True)
class FileFolder:
    """The source of one mailbox: an mbox, a Maildir, or the .eml files of a folder."""

    path: Path
    name: str
    count: Callable[[], int]
    read: MessageReader
    limit: int
    special_use: str = ""
    subscribed: bool = True

    async def batches(self, stored: StoredMessages, report: TransferReport) -> AsyncIterator[Sequence[NewMessage]]:
        """See `importer.SourceFolder`. Includes stored messages, because the importer compares their octets anyway."""
        report.start_mailbox(self.name, self.count())
        for batch in split_batches(self._messages(report)):
            yield batch

    def _messages(self, report: TransferReport) -> Iterator[NewMessage]:
        for label, message in self.read():
            if isinstance(message, TooLarge):
                report.add_skipped(f"{self.path}: {label}", f"larger than the limit of {self.limit} octets")
            elif not message.raw:
                report.add_skipped(f"{self.path}: {label}", "the message is empty")
            else:
                yield message


def find_file_folders(root: Path, mailbox: str, limit: int, report: TransferReport) -> list[FileFolder]:
    """Find the mail at a path; its own messages go to `mailbox`. `limit` is the maximum size of a message in octets.

    Other files are listed in the report. Raises TransferError if there is no mail, OSError.
    """
    if not root.exists():
        raise TransferError(f"{root} does not exist")
    folders = _detect_file(root, mailbox, limit) if root.is_file() else list(_walk(root, root, mailbox, limit, report))
    if not folders and not report.skipped:
        raise TransferError(f"no mail in {root}: no mbox files, Maildirs or .eml files")
    return list(_with_valid_names(folders, report))


def _detect_file(path: Path, mailbox: str, limit: int) -> list[FileFolder]:
    if is_mbox(path):
        return [_mbox_folder(path, mailbox, limit)]
    return [_eml_folder(path.parent, [path], mailbox, limit)] if is_eml(path) or begins_with_field(path) else []


def _walk(folder: Path, root: Path, mailbox: str, limit: int, report: TransferReport) -> Iterator[FileFolder]:
    name = join_mailbox(mailbox, mailbox_name(folder.relative_to(root)))
    children = sorted(folder.iterdir())
    if is_maildir(folder):
        yield _maildir_folder(folder, name, limit)
        yield from _maildir_subfolders(children, name, limit)
        files = []
    else:
        files = [child for child in children if child.is_file()]
    eml_files = [file for file in files if is_eml(file)]
    if eml_files or folder / SIDECAR in files:
        yield _eml_folder(folder, eml_files, name, limit)
    for file in files:
        if not is_eml(file) and is_mbox(file):
            yield _mbox_folder(file, join_mailbox(mailbox, mailbox_name(file.relative_to(root))), limit)
        elif not is_eml(file) and file.name != SIDECAR and file.stat().st_size:
            report.add_ignored_file(str(file))
    for child in children:
        if _is_subfolder(child) and not (is_maildir(folder) and child.name in SUBFOLDERS):
            yield from _walk(child, root, mailbox, limit, report)


def _is_subfolder(child: Path) -> bool:
    """Whether to descend into a folder; symbolic links are skipped, because they may form a cycle."""
    return child.is_dir() and not child.is_symlink() and not child.name.startswith(".")


def _maildir_subfolders(children: Sequence[Path], name: str, limit: int) -> Iterator[FileFolder]:
    """The Maildir++ subfolders, which lie side by side in the account's Maildir."""
    for child in children:
        if child.name.startswith(".") and child.is_dir() and is_maildir(child):
            yield _maildir_folder(child, join_mailbox(name, subfolder_mailbox(child.name)), limit)


def _mbox_folder(path: Path, name: str, limit: int) -> FileFolder:
    def read() -> Iterator[tuple[str, NewMessage | TooLarge]]:
        return ((f"message {number}", message) for number, message in enumerate(read_mbox(path, limit), 1))

    return FileFolder(path, name, lambda: count_mbox(path), read, limit)


def _maildir_folder(path: Path, name: str, limit: int) -> FileFolder:
    return FileFolder(path, name, lambda: count_maildir(path), lambda: read_maildir(path, limit), limit)


def _eml_folder(folder: Path, files: Sequence[Path], name: str, limit: int) -> FileFolder:
    return FileFolder(folder, name, lambda: len(files), lambda: read_eml(files, limit), limit)


def _with_valid_names(folders: Sequence[FileFolder], report: TransferReport) -> Iterator[FileFolder]:
    for folder in folders:
        try:
            name = check_new_name(os.fsencode(folder.name).decode("utf-8", "replace"))
        except InvalidMailboxName as refused:
            report.add_skipped(str(folder.path), str(refused))
        else:
            yield FileFolder(folder.path, name, folder.count, folder.read, folder.limit)
