"""Output of commands: tables for people, JSON for programs, notes on standard error."""

import json
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

stdout = Console()


def new_table(*headings: str) -> Table:
    """A table without borders. A word that is longer than its column is continued in the next line, not cut."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), box=None)


def add_row(table: Table, *cells: str) -> None:
    """Add a row of user-controlled text: without markup, with control characters escaped."""
    from relate_service.console import visible

    table.add_row(*(Text(visible(cell)) for cell in cells))


def iso_time(seconds: float) -> str:
    """A time in seconds since the epoch, for JSON: in UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def local_minute(seconds: float) -> str:
    """A time in seconds since the epoch, for people: the minute in the local time zone."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def print_json(value: object) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value))


def print_note(text: str) -> None:
    """Print one line on standard error, so that standard output holds the result alone."""
    from relate_service.console import visible

    print(f"relate: {visible(text)}", file=sys.stderr)
