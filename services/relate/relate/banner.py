"""What a person sees when the server is ready: where to connect, and the demo account's key once."""

from collections.abc import Collection

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from relate import demo
from relate.settings import Settings

console = Console(stderr=True)


def show_banner(settings: Settings, parts: Collection[str], key: str | None) -> None:
    """Print the connection settings of what is served; with a key, the demo account's too."""
    table = Table("service", "host", "port", "security", box=None, title_justify="left")
    for service, host, port, security in _rows(settings, parts):
        table.add_row(service, host, str(port), security)
    console.print(Panel(table, title="Relate Mail is ready", expand=False))
    if key is not None:
        console.print(
            f"Log in as [bold]{demo.ADDRESS}[/] with the key [bold]{key}[/] (shown only now).", soft_wrap=True
        )


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
