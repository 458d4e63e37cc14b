"""The message of a ready server: ports and security of each service, the database, and how to log in."""

import shlex
import sys
from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from relate.demo import account
from relate.settings import Settings

LOCAL_HOSTS = frozenset({"127.0.0.1", "0.0.0.0", "::"})  # noqa: S104 - with them the API listens on 127.0.0.1
console = Console(stderr=True)


def print_startup_banner(settings: Settings, services: Collection[str], database: str, login: Text) -> None:
    """Print the connection settings of the running services, the database, and how to log in."""
    table = Table("service", "host", "port", "security", box=None, title_justify="left")
    for name, host, port, security in _rows(settings, services):
        table.add_row(name, host, str(port), security)
    console.print(Panel(table, title="Relate Mail is ready", expand=False))
    lines = [Text(f"Mail is kept in {database}."), login]
    if "api" in services:
        lines.append(Text.assemble("See the mail on ", (_page_url(settings), "bold"), ", with a key."))
    console.print(*lines, sep="\n", soft_wrap=True)


def new_demo_login(key: str) -> Text:
    """Login of the demo account that this start created."""
    return Text.assemble("Log in as ", (account.ADDRESS, "bold"), " with the key ", (key, "bold"), " (shown only now).")


def existing_demo_login() -> Text:
    """How to create another key for the demo account, because the first one is shown only once."""
    scopes = " ".join(f"--scope {scope}" for scope in account.SCOPES)
    command = f"{command_name()} key create {account.ADDRESS} --name new {scopes}"
    return Text.assemble("Log in as ", (account.ADDRESS, "bold"), ". For a new key: ", (command, "bold"))


def first_user_hint() -> Text:
    """How to create the first account."""
    add, key = (
        f"{command_name()} user add you@example.com",
        f"{command_name()} key create you@example.com --name laptop",
    )
    return Text.assemble("There are no users yet. For the first one: ", (add, "bold"), " and ", (key, "bold"))


def command_name() -> str:
    """The shell command that starts this program in the server's working directory."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m relate"
    return shlex.quote(sys.argv[0])


def _rows(settings: Settings, services: Collection[str]) -> list[tuple[str, str, int, str]]:
    smtp, pop3, imap, api = settings.smtp, settings.pop3, settings.imap, settings.api
    rows = {
        "smtp": [
            ("SMTP submission", smtp.host, smtp.port, "STARTTLS"),
            ("SMTP submission", smtp.host, smtp.secure_port, "TLS"),
            ("SMTP reception (MX)", smtp.host, smtp.mx_port, "STARTTLS"),
        ],
        "pop3": [("POP3", pop3.host, pop3.port, "STLS"), ("POP3", pop3.host, pop3.secure_port, "TLS")],
        "imap": [("IMAP", imap.host, imap.port, "STARTTLS"), ("IMAP", imap.host, imap.secure_port, "TLS")],
        "api": [("Page, REST API", api.host, api.port, "http"), ("Page, REST API", api.host, api.secure_port, "https")],
    }
    return [row for service in rows if service in services for row in rows[service]]


def _page_url(settings: Settings) -> str:
    """The page; by https where it takes no key without TLS, because the API does not listen on loopback."""
    api = settings.api
    if api.host in LOCAL_HOSTS:
        return f"http://127.0.0.1:{api.port}"
    host = f"[{api.host}]" if ":" in api.host else api.host
    return f"https://{host}:{api.secure_port}"
