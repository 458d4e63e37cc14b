"""What the developers' mode prints when it is ready: a table for people, or one line of JSON for programs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TextIO

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from relate.startup_banner import console

_STDOUT, _STDERR = 1, 2  # file descriptors


@dataclass(frozen=True, slots=True)
class Ready:
    """The host and the bound ports; the key with the scope `admin`, which is new at every start."""

    host: str
    smtp: int
    smtps: int
    mx: int
    pop3: int
    pop3s: int
    imap: int
    imaps: int
    http: int
    https: int
    admin_key: str


@contextmanager
def sole_output() -> Iterator[TextIO]:
    """Standard output for the use of the block alone: what others print there, such as spans, is on standard error."""
    sys.stdout.flush()
    with os.fdopen(os.dup(_STDOUT), "w", encoding="utf-8") as own:
        os.dup2(_STDERR, _STDOUT)
        try:
            yield own
        finally:
            sys.stdout.flush()
            os.dup2(own.fileno(), _STDOUT)


def print_json_line(ready: Ready, out: TextIO) -> None:
    """Print one JSON object in one line: the ports by name, `host` and `adminKey`."""
    values = asdict(ready)
    values["adminKey"] = values.pop("admin_key")
    print(json.dumps(values), file=out, flush=True)


def print_table(ready: Ready, database: str) -> None:
    """Print ports, database, key and an example on standard error."""
    table = Table("service", "ports", "with TLS", box=None, title_justify="left")
    table.add_row("SMTP", f"{ready.mx} {ready.smtp}", str(ready.smtps))
    table.add_row("IMAP", str(ready.imap), str(ready.imaps))
    table.add_row("POP3", str(ready.pop3), str(ready.pop3s))
    table.add_row("API", str(ready.http), str(ready.https))
    url = f"http://{_client_host(ready.host)}:{ready.http}/api/wait"
    console.print(Panel(table, title="Relate Mail is ready for developers", expand=False))
    console.print(
        Text(f"Every recipient and every login is valid. Mail is kept in {database}, and sent nowhere."),
        Text.assemble("Wait for a message: ", (f"curl -H 'Authorization: Bearer alice@example.test' {url}", "bold")),
        Text.assemble("The key with the scope admin, new at every start: ", (ready.admin_key, "bold")),
        sep="\n",
        soft_wrap=True,
    )


def _client_host(host: str) -> str:
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared only
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host  # RFC 3986 §3.2.2
