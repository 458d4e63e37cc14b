"""Opens what `relate import` and `relate export` need, and tells how far they are."""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from relate.admin import Backend, opened
from relate.settings import Settings
from relate.transfer.exporting import export
from relate.transfer.files import file_folders
from relate.transfer.formats import Format
from relate.transfer.imap import ImapAddress, hang_up, log_in, remote_folders
from relate.transfer.importing import Import
from relate.transfer.tally import Tally
from relate_accounts.types import User
from relate_mailstore.types import AccountId
from relate_service.console import visible


class Remote(NamedTuple):
    """An account on another server; `exclude`: mailboxes there that are not wanted."""

    address: ImapAddress
    password: str
    insecure: bool
    exclude: Collection[str]


async def import_from_server(settings: Settings, address: str, remote: Remote, ignore_quota: bool) -> Tally:
    """Import an account from another server. Raises UserNotFound, TransferError, OverQuota."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("importing") as tally:
            client = log_in(remote.address, remote.password, remote.insecure)
            try:
                uses = await _special_uses(backend, user)
                folders = await remote_folders(client, uses, remote.exclude, _limit(settings), tally)
                await _import(backend, user, ignore_quota, tally).run(folders)
            finally:
                hang_up(client)
    return tally


async def import_from_files(settings: Settings, address: str, path: Path, mailbox: str, ignore_quota: bool) -> Tally:
    """Import mbox files, Maildirs or messages. Raises UserNotFound, TransferError, OverQuota, OSError."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("importing") as tally:
            folders = file_folders(path, mailbox, _limit(settings), tally)
            await _import(backend, user, ignore_quota, tally).run(folders)
    return tally


async def export_to(settings: Settings, address: str, path: Path, form: Format) -> Tally:
    """Export an account's mail to files. Raises UserNotFound, TransferError, OSError."""
    async with opened(settings) as backend:
        user = await backend.accounts.user_by_address(address)
        with _progress("exporting") as tally:
            await export(backend.mail, AccountId(user.id), path, form, tally)
    return tally


async def _special_uses(backend: Backend, user: User) -> dict[str, str]:
    """The names of the user's mailboxes by special use."""
    await backend.mail.provision(AccountId(user.id))
    mailboxes = await backend.mail.mailboxes(AccountId(user.id))
    return {mailbox.special_use: mailbox.name for mailbox in mailboxes if mailbox.special_use}


def _import(backend: Backend, user: User, ignore_quota: bool, tally: Tally) -> Import:
    return Import(backend.mail, AccountId(user.id), None if ignore_quota else user.quota, tally)


def _limit(settings: Settings) -> int:
    """Octets of a message: what the servers would take."""
    return max(settings.imap.max_message_size_bytes, settings.smtp.max_message_size_bytes)


@contextmanager
def _progress(verb: str) -> Iterator[Tally]:
    """Running counts, and a bar on a terminal; where it is left by an error, what was done until then is said."""
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

        def show(tally: Tally) -> None:
            progress.update(
                task,
                description=f"{verb} {visible(tally.mailbox)}".replace("[", r"\["),
                total=tally.expected,
                completed=tally.done,
                counts=f"{tally.transferred} new, {tally.present} there, {len(tally.skipped)} skipped",
            )

        tally = Tally(show)
        try:
            yield tally
        except BaseException:
            if tally.transferred:
                print(f"relate: {tally.transferred} messages were done until then", file=sys.stderr)
            raise
