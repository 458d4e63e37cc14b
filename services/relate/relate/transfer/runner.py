"""Runs `relate import` and `relate export`: opens database and source, shows the progress."""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from relate.admin import Backend, open_backend
from relate.settings import Settings
from relate.transfer.exporter import export_account
from relate.transfer.file_source import find_file_folders
from relate.transfer.formats import Format
from relate.transfer.imap_source import ImapAccount, close_connection, list_remote_folders, log_in
from relate.transfer.importer import Importer
from relate.transfer.report import TransferReport
from relate_accounts.types import User
from relate_mailstore.types import AccountId
from relate_service.console import visible


class RemoteAccount(NamedTuple):
    """An account on another server; `exclude` lists mailboxes to skip."""

    account: ImapAccount
    password: str
    insecure: bool
    exclude: Collection[str]


async def import_from_server(
    settings: Settings, address: str, remote: RemoteAccount, ignore_quota: bool
) -> TransferReport:
    """Import an account from another server. Raises UserNotFound, TransferError, OverQuota."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("importing") as report:
            client = log_in(remote.account, remote.password, remote.insecure)
            try:
                uses = await _special_uses(backend, user)
                folders = await list_remote_folders(client, uses, remote.exclude, _max_message_octets(settings), report)
                await _importer(backend, user, ignore_quota, report).run(folders)
            finally:
                close_connection(client)
    return report


async def import_from_files(
    settings: Settings, address: str, path: Path, mailbox: str, ignore_quota: bool
) -> TransferReport:
    """Import mbox files, Maildirs or messages. Raises UserNotFound, TransferError, OverQuota, OSError."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("importing") as report:
            folders = find_file_folders(path, mailbox, _max_message_octets(settings), report)
            await _importer(backend, user, ignore_quota, report).run(folders)
    return report


async def export_to_files(settings: Settings, address: str, path: Path, format_: Format) -> TransferReport:
    """Export an account's mail to files. Raises UserNotFound, TransferError, OSError."""
    async with open_backend(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("exporting") as report:
            await export_account(backend.mail, AccountId(user.id), path, format_, report)
    return report


async def _special_uses(backend: Backend, user: User) -> dict[str, str]:
    """The names of the user's mailboxes by special use."""
    await backend.mail.provision(AccountId(user.id))
    mailboxes = await backend.mail.mailboxes(AccountId(user.id))
    return {mailbox.special_use: mailbox.name for mailbox in mailboxes if mailbox.special_use}


def _importer(backend: Backend, user: User, ignore_quota: bool, report: TransferReport) -> Importer:
    return Importer(backend.mail, AccountId(user.id), None if ignore_quota else user.quota, report)


def _max_message_octets(settings: Settings) -> int:
    """The maximum size of a message in octets: the larger of the IMAP and SMTP limits."""
    return max(settings.imap.max_message_size_bytes, settings.smtp.max_message_size_bytes)


@contextmanager
def _progress(verb: str) -> Iterator[TransferReport]:
    """Show a progress bar if standard error is a terminal; an error prints what was transferred before it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(verb, counts="")

        def show(report: TransferReport) -> None:
            progress.update(
                task,
                description=f"{verb} {visible(report.mailbox)}".replace("[", r"\["),
                total=report.expected,
                completed=report.processed,
                counts=f"{report.transferred} new, {report.present} present, {len(report.skipped)} skipped",
            )

        report = TransferReport(show)
        try:
            yield report
        except BaseException:
            if report.transferred:
                print(f"relate: {report.transferred} messages were transferred before the error", file=sys.stderr)
            raise
