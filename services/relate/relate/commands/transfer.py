"""The commands `relate import` and `relate export`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relate.transfer.errors import TransferError
from relate.transfer.formats import Format

if TYPE_CHECKING:
    from relate.transfer.report import TransferReport

Address = Annotated[str, typer.Argument(help="An address of the user.")]


def import_mail(
    address: Address,
    source: Annotated[str, typer.Argument(help="An mbox, a Maildir, .eml files, a folder; or imap(s)://user@host.")],
    *,
    mailbox: Annotated[
        str, typer.Option(help="For files: the target mailbox; a folder's mailboxes are created below it.")
    ] = "INBOX",
    password_file: Annotated[
        Path | None, typer.Option(help="A file that holds the password for the other server.")
    ] = None,
    password_fd: Annotated[int | None, typer.Option(help="A file descriptor to read the password from.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="A mailbox of the other server to skip; may be repeated.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate, and servers without TLS.")
    ] = False,
    ignore_quota: Annotated[bool, typer.Option("--ignore-quota", help="Import beyond the user's quota.")] = False,
) -> None:
    """Import mail from files or another server. Idempotent: a second run imports only new messages."""
    from relate.settings import load_command_settings
    from relate.transfer import imap_source, runner

    if imap_source.is_imap_url(source):
        account = imap_source.parse_imap_url(source)
        password = _password(password_file, password_fd, f"{account.user} on {account.host}")
        remote = runner.RemoteAccount(account, password, insecure, frozenset(exclude or ()))
        report = asyncio.run(runner.import_from_server(load_command_settings(), address, remote, ignore_quota))
    else:
        report = asyncio.run(
            runner.import_from_files(load_command_settings(), address, Path(source), mailbox, ignore_quota)
        )
    _print_report("imported", report)


def export_mail(
    address: Address,
    path: Annotated[Path, typer.Argument(help="The folder to create.")],
    format_: Annotated[Format, typer.Option("--format", help="The file format.")] = Format.MAILDIR,
) -> None:
    """Export all mail of a user: one file or folder per mailbox."""
    from relate.settings import load_command_settings
    from relate.transfer import runner

    _print_report("exported", asyncio.run(runner.export_to_files(load_command_settings(), address, path, format_)))


def _password(file: Path | None, descriptor: int | None, subject: str) -> str:
    """The password without its line ending. Raises TransferError, OSError."""
    if file is not None:
        return file.read_text("utf-8").rstrip("\r\n")
    if descriptor is not None:
        with os.fdopen(descriptor, encoding="utf-8") as opened:
            return opened.read().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise TransferError("no terminal to prompt for the password: use --password-file or --password-fd")
    password: str = typer.prompt(f"Password of {subject}", hide_input=True, err=True)
    return password


def _print_report(verb: str, report: "TransferReport") -> None:
    """Print one line of counts, and skipped items on standard error. Exits with status 1 if mail was skipped."""
    from relate_service.console import visible

    for line in [*report.skipped, *(f"{file}: not a mail file, ignored" for file in report.ignored_files)]:
        print(f"relate: {visible(line)}", file=sys.stderr)
    if report.keywords_dropped:
        print(f"relate: {report.keywords_dropped} keywords were dropped: invalid, or beyond the limit", file=sys.stderr)
    already_present = f", {report.present} already present" if report.present else ""
    and_skipped = f", {len(report.skipped)} skipped" if report.skipped else ""
    print(
        f"{verb} {report.transferred} messages ({report.octets} octets) "
        f"from {report.mailboxes} mailboxes{already_present}{and_skipped}"
    )
    if report.skipped:
        raise typer.Exit(1)
