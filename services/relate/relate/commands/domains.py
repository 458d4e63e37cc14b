"""The command `relate domain`."""

import asyncio
from typing import Annotated

import typer

from relate.commands.accounts import Json
from relate.output import add_row, new_table, print_json, stdout

domain_app = typer.Typer(no_args_is_help=True, help="Manage the domains whose mail is for users of this server.")


@domain_app.command("add")
def add_domain(domain: Annotated[str, typer.Argument(help="A domain.")], as_json: Json = False) -> None:
    """Name a domain as local: mail to an unknown address in it is refused, and never sent elsewhere.

    A domain in which a user has an address is local without that.
    """
    from relate import admin
    from relate.settings import load_command_settings

    name = asyncio.run(admin.add_domain(load_command_settings(), domain))
    if as_json:
        print_json({"name": name})
    else:
        stdout.print(f"added {name}")


@domain_app.command("list")
def list_domains(as_json: Json = False) -> None:
    """List all local domains."""
    from relate import admin
    from relate.settings import load_command_settings

    domains = asyncio.run(admin.list_domains(load_command_settings()))
    if as_json:
        rows = [(each.name, each.added and each.added.isoformat(), each.addresses) for each in domains]
        print_json([{"name": name, "added": added, "addresses": addresses} for name, added, addresses in rows])
        return
    table = new_table("domain", "added", "addresses")
    for each in domains:
        add_row(table, each.name, f"{each.added:%Y-%m-%d}" if each.added else "", str(each.addresses))
    stdout.print(table)
