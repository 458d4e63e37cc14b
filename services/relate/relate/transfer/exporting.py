"""The run of an export: mailbox after mailbox, a message at a time, into a folder that is made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from relate.transfer.eml import EmlWriter
from relate.transfer.errors import TransferError
from relate.transfer.formats import Format
from relate.transfer.maildir import MaildirWriter
from relate.transfer.mbox import SUFFIX, MboxWriter
from relate.transfer.paths import path_of
from relate.transfer.tally import Tally
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Entry

OPENED_MESSAGES = 50  # of which the small ones are fetched together


class Writer(Protocol):
    """Writes the messages of a mailbox."""

    def write(self, entry: Entry, raw: bytes) -> None:
        """Add a message. Raises OSError."""

    def close(self) -> None:
        """Finish. Raises OSError."""


async def export(store: MailStore, account_id: AccountId, target: Path, form: Format, tally: Tally) -> None:
    """Write all mail of an account into the folder `target`. Raises TransferError, StoreUnavailable, OSError."""
    _make_folder(target)
    for mailbox in await store.mailboxes(account_id):
        entries = (await store.snapshot(account_id, mailbox.name)).entries
        tally.begin(mailbox.name, len(entries))
        writer = _WRITERS[form](target / path_of(mailbox.name))
        try:
            await _write_all(store, account_id, entries, writer, tally)
        finally:
            writer.close()
        if isinstance(writer, MaildirWriter):
            tally.keywords_dropped += writer.keywords_dropped


def _make_folder(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TransferError(f"{target} is there already: an export makes a new folder, or takes an empty one")
    target.mkdir(parents=True, exist_ok=True)


async def _write_all(
    store: MailStore, account_id: AccountId, entries: Sequence[Entry], writer: Writer, tally: Tally
) -> None:
    for start in range(0, len(entries), OPENED_MESSAGES):
        portion = entries[start : start + OPENED_MESSAGES]
        messages = await store.open_all(account_id, [entry.message_id for entry in portion])
        for entry, message in zip(portion, messages, strict=True):
            if message is None:  # deleted meanwhile
                continue
            try:
                raw = await message.read()
            except MessageNotFound:
                continue
            writer.write(entry, raw)
            tally.transfer(1, len(raw))


def _open_mbox(path: Path) -> Writer:
    path.parent.mkdir(parents=True, exist_ok=True)
    return MboxWriter(path.with_name(f"{path.name}{SUFFIX}"))


_WRITERS: Mapping[Format, Callable[[Path], Writer]] = {
    Format.MBOX: _open_mbox,
    Format.MAILDIR: MaildirWriter,
    Format.EML: EmlWriter,
}
