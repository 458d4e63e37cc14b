"""The commands `relate import` and `relate export`. What they do is imported when they run."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relate.transfer.errors import TransferError
from relate.transfer.formats import Format

if TYPE_CHECKING:
    from relate.transfer.tally import Tally

Address = Annotated[str, typer.Argument(help="An address of the user.")]


def import_mail(
    address: Address,
    source: Annotated[str, typer.Argument(help="An mbox, a Maildir, .eml files, a folder; or imap(s)://user@host.")],
    *,
    mailbox: Annotated[str, typer.Option(help="For files: the mailbox, or the one above those of a folder.")] = "INBOX",
    password_file: Annotated[Path | None, typer.Option(help="A file with the password of the other server.")] = None,
    password_fd: Annotated[int | None, typer.Option(help="A file descriptor to read the password from.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A mailbox of the other server to leave out.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any certificate, or none at all.")] = False,
    ignore_quota: Annotated[bool, typer.Option("--ignore-quota", help="Import more than the user may have.")] = False,
) -> None:
    """Import mail from files or another server. Run again, it imports only what is new."""
    from relate.settings import for_command
    from relate.transfer import imap, run

    if imap.is_imap_url(source):
        there = imap.parse_imap_url(source)
        password = _password(password_file, password_fd, f"{there.user} on {there.host}")
        remote = run.Remote(there, password, insecure, frozenset(exclude or ()))
        tally = asyncio.run(run.import_from_server(for_command(), address, remote, ignore_quota))
    else:
        tally = asyncio.run(run.import_from_files(for_command(), address, Path(source), mailbox, ignore_quota))
    _report("imported", tally)


def export_mail(
    address: Address,
    path: Annotated[Path, typer.Argument(help="The folder to make.")],
    form: Annotated[Format, typer.Option("--format", help="The form of the files.")] = Format.MAILDIR,
) -> None:
    """Export all mail of a user to files, a folder or file for each mailbox."""
    from relate.settings import for_command
    from relate.transfer import run

    _report("exported", asyncio.run(run.export_to(for_command(), address, path, form)))


def _password(file: Path | None, descriptor: int | None, whose: str) -> str:
    """The password, without the line end behind it. Raises TransferError, OSError."""
    if file is not None:
        return file.read_text("utf-8").rstrip("\r\n")
    if descriptor is not None:
        with os.fdopen(descriptor, encoding="utf-8") as opened:
            return opened.read().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise TransferError("there is no terminal to ask for the password: give --password-file or --password-fd")
    password: str = typer.prompt(f"Password of {whose}", hide_input=True, err=True)
    return password


def _report(verb: str, tally: "Tally") -> None:
    """One line of counts; what was left out on standard error, and status 1 where this was mail."""
    from relate_service.console import visible

    for line in [*tally.skipped, *(f"{file}: no mail, left out" for file in tally.left_out)]:
        print(f"relate: {visible(line)}", file=sys.stderr)
    if tally.keywords_dropped:
        print(f"relate: {tally.keywords_dropped} keywords had no room, or are none", file=sys.stderr)
    there = f", {tally.present} were there" if tally.present else ""
    skipped = f", {len(tally.skipped)} skipped" if tally.skipped else ""
    print(f"{verb} {tally.transferred} messages ({tally.octets} octets) of {tally.mailboxes} mailboxes{there}{skipped}")
    if tally.skipped:
        raise typer.Exit(1)
