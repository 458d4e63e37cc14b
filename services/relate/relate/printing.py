"""What commands print: tables for people, JSON for programs, notes on standard error."""

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console()


def new_table(*headings: str) -> Table:
    """A table without lines."""
    return Table(*headings, box=None)


def add_row(table: Table, *cells: str) -> None:
    """Add a row of texts that users chose: no markup, and no control characters."""
    from relate_service.console import visible

    table.add_row(*(Text(visible(cell)) for cell in cells))


def print_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value))


def note(text: str) -> None:
    """Print one line on standard error, where it is no part of a command's output."""
    from relate_service.console import visible

    print(f"relate: {visible(text)}", file=sys.stderr)
