"""The command `relate domain`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from relate.commands.accounts import Json
from relate.output import add_row, new_table, print_json, print_note, stdout

if TYPE_CHECKING:
    from relate_accounts.types import DomainKey

Domain = Annotated[str, typer.Argument(help="A domain.")]

domain_app = typer.Typer(no_args_is_help=True, help="Manage the domains whose mail is for users of this server.")


@domain_app.command("add")
def add_domain(
    domain: Domain,
    selector: Annotated[str | None, typer.Option(help="Make further DKIM keys, with this selector.")] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Make the keys and print their records, but sign nothing with them yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name a domain as local, and make its DKIM keys.

    Mail to an unknown address in it is refused, and never sent elsewhere. Repeated, it changes nothing. The keys are
    files in Relay__KeyDirectory; run this as the user of the relay.
    """
    from relate import admin
    from relate.settings import load_command_settings
    from relate_service.dns_records import key_lines

    key, is_new = asyncio.run(admin.add_domain(load_command_settings(), domain, selector, prepare=prepare))
    if as_json:
        print_json({"name": key.domain, "selector": key.selector, "records": key_lines(key)})
    elif prepare:
        print("\n".join(key_lines(key)))
        print_note(f"publish these, then run: relate domain add {key.domain} --selector {key.selector}")
    elif is_new:
        stdout.print(f"added {key.domain} with DKIM selector {key.selector}; relate domain dns {key.domain}")
    else:
        stdout.print(f"{key.domain} is local already, with DKIM selector {key.selector}; --selector makes other keys")


@domain_app.command("retire")
def retire_key(
    domain: Domain,
    selector: Annotated[str, typer.Argument(help="The selector of older keys.")],
    as_json: Json = False,
) -> None:
    """Delete the DKIM keys of a selector that no longer signs. Then remove their DNS records."""
    from relate import admin
    from relate.settings import load_command_settings

    asyncio.run(admin.retire_key(load_command_settings(), domain, selector))
    if as_json:
        print_json({"retired": selector})
    else:
        stdout.print(f"deleted the keys of {selector}")


@domain_app.command("dns")
def show_records(domain: Domain, as_json: Json = False) -> None:
    """Print the DNS records of a domain as lines of a zone file: MX, SPF, DKIM, DMARC, and those for mail programs.

    Records of autoconfiguration and MTA-STS are printed if the API is reached at port 443 (Api__PublicSecurePort).
    """
    from relate import admin
    from relate.settings import load_command_settings

    records = asyncio.run(admin.domain_records(load_command_settings(), domain))
    if as_json:
        print_json(records)
    else:
        print("\n".join(records))


@domain_app.command("list")
def list_domains(as_json: Json = False) -> None:
    """List all local domains, with their DKIM selectors; the first one signs."""
    from relate import admin
    from relate.settings import load_command_settings

    domains = asyncio.run(admin.list_domains(load_command_settings()))
    if as_json:
        print_json(
            [
                {
                    "name": domain.name,
                    "added": domain.added and domain.added.isoformat(),
                    "addresses": domain.addresses,
                    "selectors": [
                        {"selector": key.selector, "since": key.created and key.created.isoformat()} for key in keys
                    ],
                }
                for domain, keys in domains
            ]
        )
        return
    table = new_table("domain", "added", "addresses", "DKIM selectors")
    for domain, keys in domains:
        added = f"{domain.added:%Y-%m-%d}" if domain.added else ""
        add_row(table, domain.name, added, str(domain.addresses), ", ".join(map(_since, keys)))
    stdout.print(table)


def _since(key: "DomainKey") -> str:
    return f"{key.selector} since {key.created:%Y-%m-%d}" if key.created else key.selector
