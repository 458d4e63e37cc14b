"""The command line: registers all commands; what they do is elsewhere.

A command imports its implementation when it runs, so that `--help` and shell completion are fast.
"""

import asyncio
import os
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from relate.commands import backup, dev, transfer
from relate.commands.accounts import Json, key_app, mailbox_app, user_app
from relate.commands.domains import domain_app
from relate.commands.queue import queue_app
from relate.commands.suppressions import suppress_app
from relate.commands.where import show_journeys
from relate.output import stdout

# Equal to relate_config.private.UMASK, which is not imported because that would slow down --help.
PRIVATE_UMASK = 0o077

# Typer's tracebacks are disabled, because they show the values of local variables, including keys.
app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Relate Mail: a self-hosted, observable mail system."
)
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(mailbox_app, name="mailbox")
app.add_typer(domain_app, name="domain")
app.add_typer(queue_app, name="queue")
app.add_typer(suppress_app, name="suppress")
app.command("dev")(dev.develop)
app.command("where")(show_journeys)
app.command("import")(transfer.import_mail)
app.command("export")(transfer.export_mail)
app.command("backup")(backup.back_up)
app.command("restore")(backup.restore)


class Service(StrEnum):
    """The value of `relate serve`'s argument."""

    ALL = "all"
    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    API = "api"
    RELAY = "relay"


def _show_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"relate {version('relate')}", highlight=False)
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
    service: Annotated[Service, typer.Argument(help="The service to run.")] = Service.ALL,
    demo: Annotated[bool, typer.Option("--demo", help="Create a demo account at the first start.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Print every span on the console, including SQL statements and maintenance."),
    ] = False,
) -> None:
    """Run the services until SIGTERM or Ctrl-C."""
    from relate_service.signals import block_signals

    block_signals()
    from relate import embedded
    from relate.settings import load_server_settings
    from relate_service import workers

    settings = load_server_settings(verbose=verbose)
    if settings.dev.enabled:
        dev.develop()
        return
    services = frozenset(embedded.SERVICES) if service is Service.ALL else frozenset({service.value})
    workers_per_service = embedded.workers_per_service(settings)
    count = max(1, *(workers_per_service[name] for name in services))
    workers.run(lambda number: embedded.serve(settings, services, number, demo), count)


@app.command()
def migrate() -> None:
    """Migrate the database to the latest schema."""
    from relate import admin
    from relate.settings import load_command_settings

    asyncio.run(admin.migrate_database(load_command_settings()))


@app.command()
def tidy() -> None:
    """Delete stored messages that no mailbox refers to. Servers do this once a day."""
    from relate import admin
    from relate.settings import load_command_settings

    removed = asyncio.run(admin.collect_garbage(load_command_settings()))
    stdout.print(f"removed {removed} rows" if removed else "nothing to remove")


@app.command()
def traffic(
    rate: Annotated[float, typer.Option(min=0.01, max=200, help="Client sessions per second.")] = 5.0,
    smtp: Annotated[str, typer.Option(help="The SMTP host.")] = "127.0.0.1",
    pop3: Annotated[str, typer.Option(help="The POP3 host.")] = "127.0.0.1",
    imap: Annotated[str, typer.Option(help="The IMAP host.")] = "127.0.0.1",
    api: Annotated[str, typer.Option(help="The API host.")] = "127.0.0.1",
) -> None:
    """Generate demo traffic on the running services until SIGTERM or Ctrl-C."""
    from relate.demo import traffic as demo_traffic
    from relate.settings import load_command_settings

    settings = load_command_settings()
    asyncio.run(demo_traffic.run(settings, demo_traffic.configured_endpoints(settings, smtp, pop3, imap, api), rate))


@app.command("doctor")
def check(
    as_json: Json = False,
    ask_dns: Annotated[
        bool | None, typer.Option("--dns/--no-dns", help="Ask the DNS; by default if Relay__Enabled is true.")
    ] = None,
    probe: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN", help="Connect to a server of this domain, without sending mail."),
    ] = None,
) -> None:
    """Check files, database, disk, ports, certificates, DNS and the way outwards; print a remedy for each problem."""
    from relate import doctor
    from relate.commands.findings import print_findings
    from relate.settings import load_command_settings

    findings = asyncio.run(doctor.examine(load_command_settings(), ask_dns=ask_dns, probes=probe or ()))
    print_findings(findings, as_json=as_json)
    raise typer.Exit(0 if all(finding.healthy for finding in findings) else 1)


def main() -> None:
    """Run the command line. An expected error is printed as one line on standard error, with exit status 1."""
    os.umask(PRIVATE_UMASK)
    try:
        app()
    except Exception as error:
        from relate.expected_errors import EXPECTED_ERRORS

        if not isinstance(error, EXPECTED_ERRORS):
            raise
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    from relate_service.console import visible

    print(f"relate: {visible(text)}", file=sys.stderr)
    raise SystemExit(1)
