"""The command `relate suppress`: the addresses elsewhere to which nothing is sent."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from relate.commands.accounts import Json
from relate.output import add_row, iso_time, local_minute, new_table, print_json, stdout

if TYPE_CHECKING:
    from relate_mailstore.suppression_types import Suppression

Address = Annotated[str, typer.Argument(help="An address on another server.")]

suppress_app = typer.Typer(
    no_args_is_help=True, help="Show and change the list of addresses that accept no mail, to which nothing is sent."
)


@suppress_app.command("list")
def list_suppressions(as_json: Json = False) -> None:
    """List the addresses, why they are listed, and until when."""
    from relate import admin
    from relate.settings import load_command_settings

    entries = asyncio.run(admin.list_suppressions(load_command_settings()))
    if as_json:
        print_json([_describe(each) for each in entries])
        return
    table = new_table("address", "source", "added", "expires", "reason")
    for each in entries:
        expires = "never" if each.expires is None else local_minute(each.expires)
        add_row(table, each.address, each.source.value, local_minute(each.added), expires, each.text)
    stdout.print(table)


@suppress_app.command("add")
def add_suppression(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why; the sender of a message to the address is told.")] = "",
    as_json: Json = False,
) -> None:
    """Send nothing to an address from now on, mail that waits in the queue included, until it is removed."""
    from relate import admin
    from relate.settings import load_command_settings

    entry = asyncio.run(admin.add_suppression(load_command_settings(), address, reason))
    if as_json:
        print_json(_describe(entry))
    else:
        stdout.print(f"added {entry.address}", highlight=False, markup=False)


@suppress_app.command("remove")
def remove_suppression(address: Address, as_json: Json = False) -> None:
    """Send to an address again. Mail that was returned because of the list is not sent again."""
    from relate import admin
    from relate.settings import load_command_settings

    removed = asyncio.run(admin.remove_suppression(load_command_settings(), address))
    if as_json:
        print_json({"address": removed})
    else:
        stdout.print(f"removed {removed}", highlight=False, markup=False)


def _describe(entry: "Suppression") -> dict[str, object]:
    return {
        "address": entry.address,
        "source": entry.source.value,
        "status": entry.status,
        "reason": entry.text,
        "added": iso_time(entry.added),
        "expires": None if entry.expires is None else iso_time(entry.expires),
    }
