"""What the developers' mode prints when it is ready: a table for people, or one line of JSON for programs."""

import json
from dataclasses import asdict, dataclass

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from relate.startup_banner import console


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


def print_json_line(ready: Ready) -> None:
    """Print one JSON object in one line on standard output: the ports by name, `host` and `adminKey`."""
    values = asdict(ready)
    values["adminKey"] = values.pop("admin_key")
    print(json.dumps(values), flush=True)


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
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared only
