"""Delivers mail from files to the mailboxes of its recipients, as if it had arrived."""

from collections.abc import Iterable
from pathlib import Path

from relate.transfer.file_source import find_file_folders
from relate.transfer.raw_message import TooLarge
from relate.transfer.report import TransferReport
from relate_accounts.ports import Directory
from relate_api.developers.namespaces import complete
from relate_mailstore.ports import MailStore
from relate_mailstore.types import INBOX, AccountId, Delivery, Destination, NewMessage
from relate_mime import index_message

RECIPIENT = "developer"  # the local part of who gets messages without a valid recipient


async def seed(
    paths: Iterable[Path], store: MailStore, directory: Directory, server_name: str, limit: int
) -> TransferReport:
    """Deliver the messages of mbox files, Maildirs and .eml files, of at most `limit` octets each.

    Their To, Cc and Bcc fields name the mailboxes. Raises TransferError, OSError, StoreUnavailable.
    """
    report = TransferReport()
    for path in paths:
        for folder in find_file_folders(path, INBOX, limit, report):
            for label, message in folder.read():
                if isinstance(message, TooLarge) or not message.raw:
                    report.add_skipped(f"{folder.path}: {label}", "the message is empty or too large")
                else:
                    await _deliver(message, store, directory, server_name)
                    report.add_transferred(1, len(message.raw))
    return report


async def _deliver(message: NewMessage, store: MailStore, directory: Directory, server_name: str) -> None:
    index = index_message(message.raw)
    accounts: dict[AccountId, None] = {}
    for _, address in (*index.to, *index.cc, *index.bcc):
        if (recipient := await directory.resolve(address)) is not None:
            accounts[AccountId(recipient.user_id)] = None
    if not accounts:
        recipient = await directory.resolve(complete(RECIPIENT, server_name))
        if recipient is None:
            raise RuntimeError("the server's name is no domain of an address")
        accounts[AccountId(recipient.user_id)] = None
    destinations = tuple(
        Destination(account_id, flags=message.flags, keywords=message.keywords) for account_id in accounts
    )
    await store.deliver(Delivery(message.raw, destinations, internal_date=message.internal_date))
