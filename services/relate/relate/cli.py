"""The command line: what there is to say, and nothing of how it is done."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from relate import admin, backup_commands, doctor
from relate.errors import CommandError
from relate.settings import Settings
from relate.transfer import commands as transfer
from relate_accounts.errors import AccountError
from relate_accounts.types import ApiKey, Scope, User
from relate_config import ConfigurationError
from relate_config.private import UMASK
from relate_mailstore.errors import StoreError
from relate_service import workers
from relate_service.console import log_to_console, visible
from relate_service.signals import hold_stops
from relate_wire.tls import CertificateError

# typer's own tracebacks are off: they show the values of local variables, keys among them.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Relate Mail: a mail system that can be seen.",
)
user_app = typer.Typer(no_args_is_help=True, help="Users and their addresses.")
key_app = typer.Typer(no_args_is_help=True, help="API keys: what mail clients and programs log in with.")
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.command("import")(transfer.import_mail)
app.command("export")(transfer.export_mail)
app.command("backup")(backup_commands.back_up)
app.command("restore")(backup_commands.restore)

# A hundred years: further than that the calendar of a client, or ours, may end.
MAX_DAYS = 36_525

out = Console()

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Part(StrEnum):
    """What can be served."""

    ALL = "all"
    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    API = "api"


@app.command()
def serve(
    part: Annotated[Part, typer.Argument(help="Which services.")] = Part.ALL,
    demo: Annotated[bool, typer.Option("--demo", help="Make a demo account at the first start.")] = False,
) -> None:
    """Serve mail until stopped (SIGTERM, Ctrl-C)."""
    hold_stops()
    from relate import embedded  # noqa: PLC0415 - the services take a third of a second to import, and serve alone

    settings = Settings()
    parts = frozenset(embedded.PARTS) if part is Part.ALL else frozenset({part.value})
    wanted = embedded.workers_wanted(settings)
    count = max(1, *(wanted[part] for part in parts))
    workers.run(lambda number: embedded.serve(settings, parts, number, demo), count)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    asyncio.run(admin.migrate_database(Settings()))


@app.command()
def tidy() -> None:
    """Remove stored mail that nobody has any more. Servers do so by themselves once a day."""
    removed = asyncio.run(admin.tidy(Settings()))
    out.print(f"removed {removed} rows" if removed else "nothing to remove")


@app.command()
def traffic(
    rate: Annotated[float, typer.Option(min=0.01, max=200, help="Visits a second.")] = 5.0,
    smtp: Annotated[str, typer.Option(help="The host of SMTP.")] = "127.0.0.1",
    pop3: Annotated[str, typer.Option(help="The host of POP3.")] = "127.0.0.1",
    imap: Annotated[str, typer.Option(help="The host of IMAP.")] = "127.0.0.1",
    api: Annotated[str, typer.Option(help="The host of the API.")] = "127.0.0.1",
) -> None:
    """Send demo traffic through the running services until stopped."""
    from relate import traffic as demo_traffic  # noqa: PLC0415 - nothing else needs mail clients

    settings = Settings()
    asyncio.run(demo_traffic.run(settings, demo_traffic.place_of(settings, smtp, pop3, imap, api), rate))


@app.command("doctor")
def check() -> None:
    """Check ports, database, certificate and collector, and say what to do."""
    findings = asyncio.run(doctor.examine(Settings()))
    table = Table("", "what", "finding", "what to do", box=None)
    for finding in findings:
        table.add_row(
            "[green]ok[/]" if finding.healthy else "[red]!![/]", finding.subject, finding.text, finding.remedy
        )
    out.print(table)
    raise typer.Exit(0 if all(finding.healthy for finding in findings) else 1)


@user_app.command("add")
def add_user(
    address: str,
    name: Annotated[str, typer.Option(help="Display name.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="A further address.")] = None,
    quota: Annotated[int | None, typer.Option(help="Room for mail, in octets.")] = None,
    as_json: Json = False,
) -> None:
    """Add a user with an address, and mailboxes for it."""
    user = asyncio.run(admin.add_user(Settings(), address, name, alias or (), quota))
    if as_json:
        _print_json({"id": user.id, "address": user.address})
    else:
        out.print(f"added {user.address}")


@user_app.command("list")
def list_users(as_json: Json = False) -> None:
    """List all users."""
    rows = asyncio.run(admin.list_users(Settings()))
    if as_json:
        _print_json([{**_describe_user(user), "addresses": addresses} for user, addresses in rows])
        return
    table = Table("address", "name", "further addresses", "since", "disabled", box=None)
    for user, addresses in rows:
        disabled = f"{user.disabled:%Y-%m-%d %H:%M}" if user.disabled else ""
        since = f"{user.created:%Y-%m-%d}"
        _add_row(table, user.address, user.display_name, ", ".join(addresses[1:]), since, disabled)
    out.print(table)


@user_app.command("disable")
def disable_user(address: str) -> None:
    """Refuse all keys of a user, and end the open sessions, within 30 seconds. Mail for the user is still taken."""
    user = asyncio.run(admin.set_disabled(Settings(), address, disabled=True))
    out.print(f"disabled {user.address}")


@user_app.command("enable")
def enable_user(address: str) -> None:
    """Let a user log in again, within 30 seconds."""
    user = asyncio.run(admin.set_disabled(Settings(), address, disabled=False))
    out.print(f"enabled {user.address}")


@key_app.command("create")
def create_key(
    address: str,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; all of mail when none is given.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=MAX_DAYS, help="Days until it expires.")] = None,
    as_json: Json = False,
) -> None:
    """Create a key. It is shown once, now."""
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = asyncio.run(admin.create_key(Settings(), address, name, scope or admin.MAIL_SCOPES, expires))
    if as_json:
        _print_json({**_describe(made.key), "address": address, "key": made.secret})
    else:
        out.print(f"{made.secret}\n[dim]This is shown only now.[/]", soft_wrap=True)


@key_app.command("list")
def list_keys(address: str, as_json: Json = False) -> None:
    """List a user's keys, revoked ones too."""
    keys = asyncio.run(admin.list_keys(Settings(), address))
    if as_json:
        _print_json([_describe(key) for key in keys])
        return
    table = Table("id", "name", "prefix", "scopes", "expires", "revoked", "last used", box=None)
    for key in keys:
        when = [f"{moment:%Y-%m-%d %H:%M}" if moment else "" for moment in (key.expires, key.revoked, key.last_used)]
        _add_row(table, str(key.id), key.name, key.prefix, " ".join(sorted(key.scopes)), *when)
    out.print(table)


@key_app.command("revoke")
def revoke_key(address: str, key_id: int) -> None:
    """Revoke a key: every process refuses it, and ends its open sessions, within 30 seconds."""
    asyncio.run(admin.revoke_key(Settings(), address, key_id))
    out.print(f"revoked key {key_id}")


def main() -> None:
    """Run the command; trouble that has a name is one line on standard error and status 1."""
    os.umask(UMASK)
    log_to_console()
    try:
        app()
    except (ConfigurationError, CertificateError, AccountError, StoreError, CommandError, OSError) as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    print(f"relate: {visible(text)}", file=sys.stderr)
    raise SystemExit(1)


def _add_row(table: Table, *cells: str) -> None:
    """A row of what users have chosen: no markup, and nothing that a terminal obeys."""
    table.add_row(*(Text(visible(cell)) for cell in cells))


def _print_json(value: object) -> None:
    print(json.dumps(value))


def _describe_user(user: User) -> dict[str, object]:
    return {"id": user.id, "address": user.address, "disabled": user.disabled and user.disabled.isoformat()}


def _describe(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "expires": key.expires and key.expires.isoformat(),
        "revoked": key.revoked and key.revoked.isoformat(),
        "lastUsed": key.last_used and key.last_used.isoformat(),
    }
