"""The command line: what there is to say, and nothing of how it is done.

A command imports what it works with when it runs, so that help and completion answer at once.
"""

import asyncio
import os
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from relate import backup_commands
from relate.account_commands import Json, key_app, mailbox_app, user_app
from relate.printing import new_table, out, print_json
from relate.transfer import commands as transfer

# As relate_config.private.UMASK, which is not imported here because --help has to answer at once.
PRIVATE_UMASK = 0o077

# typer's own tracebacks are off: they show the values of local variables, keys among them.
app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Relate Mail: a mail system that can be seen."
)
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(mailbox_app, name="mailbox")
app.command("import")(transfer.import_mail)
app.command("export")(transfer.export_mail)
app.command("backup")(backup_commands.back_up)
app.command("restore")(backup_commands.restore)


class Part(StrEnum):
    """What can be served."""

    ALL = "all"
    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    API = "api"


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"relate {version('relate')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    part: Annotated[Part, typer.Argument(help="Which services.")] = Part.ALL,
    demo: Annotated[bool, typer.Option("--demo", help="Make a demo account at the first start.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print every span on the console: statements and upkeep too.")
    ] = False,
) -> None:
    """Serve mail until stopped (SIGTERM, Ctrl-C)."""
    from relate_service.signals import block_signals

    block_signals()
    from relate import embedded
    from relate.settings import for_server
    from relate_service import workers

    settings = for_server(verbose=verbose)
    parts = frozenset(embedded.PARTS) if part is Part.ALL else frozenset({part.value})
    wanted = embedded.workers_wanted(settings)
    count = max(1, *(wanted[part] for part in parts))
    workers.run(lambda number: embedded.serve(settings, parts, number, demo), count)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from relate import admin
    from relate.settings import for_command

    asyncio.run(admin.migrate_database(for_command()))


@app.command()
def tidy() -> None:
    """Remove stored mail that no user has any more. Servers do so by themselves once a day."""
    from relate import admin
    from relate.settings import for_command

    removed = asyncio.run(admin.tidy(for_command()))
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
    from relate.demo import traffic as demo_traffic
    from relate.settings import for_command

    settings = for_command()
    asyncio.run(demo_traffic.run(settings, demo_traffic.place_of(settings, smtp, pop3, imap, api), rate))


@app.command("doctor")
def check(as_json: Json = False) -> None:
    """Check ports, database, certificate and collector, and say what to do."""
    from relate import doctor
    from relate.settings import for_command

    findings = asyncio.run(doctor.examine(for_command()))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        table = new_table("", "what", "finding", "what to do")
        for finding in findings:
            mark = "[green]ok[/]" if finding.healthy else "[red]!![/]"
            table.add_row(mark, finding.subject, finding.text, finding.remedy)
        out.print(table)
    raise typer.Exit(0 if all(finding.healthy for finding in findings) else 1)


def main() -> None:
    """Run the command; an error that the user can mend is one line on standard error and status 1."""
    os.umask(PRIVATE_UMASK)
    try:
        app()
    except Exception as error:
        from relate.expected_errors import EXPECTED

        if not isinstance(error, EXPECTED):
            raise
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    from relate_service.console import visible

    print(f"relate: {visible(text)}", file=sys.stderr)
    raise SystemExit(1)
