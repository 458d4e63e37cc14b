"""What a person sees when the server is ready: where to connect, where mail is kept, how to log in."""

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

console = Console(stderr=True)


def show_banner(settings: Settings, parts: Collection[str], database: str, login: Text) -> None:
    """Print the connection settings of what is served, the database, and how to log in."""
    table = Table("service", "host", "port", "security", box=None, title_justify="left")
    for service, host, port, security in _rows(settings, parts):
        table.add_row(service, host, str(port), security)
    console.print(Panel(table, title="Relate Mail is ready", expand=False))
    console.print(Text(f"Mail is kept in {database}."), login, sep="\n", soft_wrap=True)


def first_login(key: str) -> Text:
    """How to log in with the demo account that was just made."""
    return Text.assemble("Log in as ", (account.ADDRESS, "bold"), " with the key ", (key, "bold"), " (shown only now).")


def later_login() -> Text:
    """How to get a new key for the demo account, because the first one is not shown again."""
    scopes = " ".join(f"--scope {scope}" for scope in account.SCOPES)
    command = f"{program()} key create {account.ADDRESS} --name new {scopes}"
    return Text.assemble("Log in as ", (account.ADDRESS, "bold"), ". For a new key: ", (command, "bold"))


def no_users() -> Text:
    """How to make the first account."""
    add, key = f"{program()} user add you@example.com", f"{program()} key create you@example.com --name laptop"
    return Text.assemble("There are no users yet. For the first one: ", (add, "bold"), " and ", (key, "bold"))


def program() -> str:
    """This program as a person can type it where the server was started."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m relate"
    return shlex.quote(sys.argv[0])


def _rows(settings: Settings, parts: Collection[str]) -> list[tuple[str, str, int, str]]:
    smtp, pop3, imap, api = settings.smtp, settings.pop3, settings.imap, settings.api
    rows = {
        "smtp": [
            ("SMTP submission", smtp.host, smtp.port, "STARTTLS"),
            ("SMTP submission", smtp.host, smtp.secure_port, "TLS"),
            ("SMTP reception (MX)", smtp.host, smtp.mx_port, "STARTTLS"),
        ],
        "pop3": [("POP3", pop3.host, pop3.port, "STLS"), ("POP3", pop3.host, pop3.secure_port, "TLS")],
        "imap": [("IMAP", imap.host, imap.port, "STARTTLS"), ("IMAP", imap.host, imap.secure_port, "TLS")],
        "api": [("REST API", api.host, api.port, "http"), ("REST API", api.host, api.secure_port, "https")],
    }
    return [row for part in rows if part in parts for row in rows[part]]
