"""The command `relate dev`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

Seeds = Annotated[
    list[Path] | None,
    typer.Option("--seed", help="An mbox, a Maildir, .eml files or a folder: mail for its recipients. Repeatable."),
]
FaultTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="RULE",
        help="A fault to inject, such as 'smtp RCPT 30% reply 451', 'imap FETCH delay 2'. Repeatable.",
    ),
]


def develop(
    *,
    seeds: Seeds = None,
    faults: FaultTexts = None,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Let the system choose all ports.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print ports and key as one line of JSON on standard output when ready.")
    ] = False,
) -> None:
    """Run a mail server for tests: every recipient and login is valid, and nothing leaves. Until SIGTERM or Ctrl-C."""
    from relate_service.signals import block_signals

    block_signals()
    from relate.dev import run
    from relate.dev.fault_syntax import parse_rule
    from relate.settings import load_dev_settings
    from relate_service import workers

    rules = [parse_rule(text) for text in faults or ()]
    with TemporaryDirectory(prefix="relate-dev-") as folder:
        settings = load_dev_settings(Path(folder))
        options = run.Options(seeds or (), rules, any_ports, as_json)
        workers.run(lambda _: run.serve(settings, options))
