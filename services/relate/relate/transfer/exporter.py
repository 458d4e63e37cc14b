"""Exports an account: writes all mailboxes to a new folder, one message at a time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from relate.transfer.eml import EmlWriter
from relate.transfer.errors import TransferError
from relate.transfer.formats import Format
from relate.transfer.mailbox_paths import mailbox_path
from relate.transfer.maildir import MaildirWriter
from relate.transfer.mbox import SUFFIX, MboxWriter
from relate.transfer.report import TransferReport
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Entry

BATCH_MESSAGES = 50  # opened by one store call, which prefetches small ones


class Writer(Protocol):
    """Writes the messages of one mailbox."""

    def write(self, entry: Entry, raw: bytes) -> None:
        """Append a message. Raises OSError."""

    def close(self) -> None:
        """Complete the file or folder. Raises OSError."""


async def export_account(
    store: MailStore, account_id: AccountId, target: Path, format_: Format, report: TransferReport
) -> None:
    """Write all mail of an account to the folder `target`. Raises TransferError, StoreUnavailable, OSError."""
    _create_target(target)
    for mailbox in await store.mailboxes(account_id):
        entries = (await store.snapshot(account_id, mailbox.name)).entries
        report.start_mailbox(mailbox.name, len(entries))
        writer = _WRITERS[format_](target / mailbox_path(mailbox.name))
        try:
            await _write_all(store, account_id, entries, writer, report)
        finally:
            writer.close()
        if isinstance(writer, MaildirWriter):
            report.keywords_dropped += writer.keywords_dropped


def _create_target(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TransferError(f"{target} already exists: an export needs a new or empty folder")
    target.mkdir(parents=True, exist_ok=True)


async def _write_all(
    store: MailStore, account_id: AccountId, entries: Sequence[Entry], writer: Writer, report: TransferReport
) -> None:
    for start in range(0, len(entries), BATCH_MESSAGES):
        batch = entries[start : start + BATCH_MESSAGES]
        messages = await store.open_all(account_id, [entry.message_id for entry in batch])
        for entry, message in zip(batch, messages, strict=True):
            if message is None:  # deleted since the snapshot
                continue
            try:
                raw = await message.read()
            except MessageNotFound:
                continue
            writer.write(entry, raw)
            report.add_transferred(1, len(raw))


def _open_mbox(path: Path) -> Writer:
    path.parent.mkdir(parents=True, exist_ok=True)
    return MboxWriter(path.with_name(f"{path.name}{SUFFIX}"))


_WRITERS: Mapping[Format, Callable[[Path], Writer]] = {
    Format.MBOX: _open_mbox,
    Format.MAILDIR: MaildirWriter,
    Format.EML: EmlWriter,
}
