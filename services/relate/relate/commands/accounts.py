"""The commands `relate user`, `relate key` and `relate mailbox`."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from relate.output import add_row, new_table, print_json, print_note, stdout
from relate_accounts.types import ApiKey, NewKey, Scope, User

if TYPE_CHECKING:
    from relate_service.users import Profile

user_app = typer.Typer(no_args_is_help=True, help="Manage users, their addresses and quotas.")
key_app = typer.Typer(no_args_is_help=True, help="Manage API keys: the credentials of mail clients and programs.")
mailbox_app = typer.Typer(no_args_is_help=True, help="Show the mailboxes of a user.")

# A hundred years, because the calendars of clients may end soon after.
MAX_EXPIRY_DAYS = 36_525

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[str, typer.Argument(help="An address of the user.")]


# --- users


@user_app.command("add")
def add_user(
    address: Annotated[str, typer.Argument(help="The user's primary address.")],
    name: Annotated[str, typer.Option(help="Display name.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="An additional address; *@DOMAIN is a catch-all.")] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Quota in octets.")] = None,
    as_json: Json = False,
) -> None:
    """Add a user with a primary address and the default mailboxes."""
    from relate import admin
    from relate.settings import load_command_settings

    user = asyncio.run(admin.add_user(load_command_settings(), address, name, alias or (), quota))
    if as_json:
        print_json({"id": user.id, "address": user.address})
    else:
        stdout.print(f"added {user.address}")


@user_app.command("list")
def list_users(as_json: Json = False) -> None:
    """List all users."""
    from relate import admin
    from relate.settings import load_command_settings

    rows = asyncio.run(admin.list_users(load_command_settings()))
    if as_json:
        print_json([{**_describe_user(user), "addresses": list(addresses)} for user, addresses in rows])
        return
    table = new_table("address", "name", "other addresses", "since", "disabled")
    for user, addresses in rows:
        add_row(
            table,
            user.address or "none",
            user.display_name,
            ", ".join(addresses[1:]),
            _format_day(user.created),
            _format_minute(user.disabled),
        )
    stdout.print(table)


@user_app.command("show")
def show_user(address: Address, as_json: Json = False) -> None:
    """Show a user: addresses, quota and usage, messages, keys."""
    from relate import admin
    from relate.settings import load_command_settings

    profile = asyncio.run(admin.show_user(load_command_settings(), address))
    if as_json:
        print_json(_describe_profile(profile))
        return
    user = profile.user
    table = new_table("", "")
    table.show_header = False
    for label, text in (
        ("address", user.address),
        ("name", user.display_name),
        ("other addresses", ", ".join(profile.addresses[1:])),
        ("since", _format_minute(user.created)),
        ("disabled", _format_minute(user.disabled)),
        ("quota", _format_octets(user.quota)),
        ("used", _format_octets(profile.usage)),
        ("messages", f"{profile.messages} in {profile.mailboxes} mailboxes"),
        ("usable keys", str(profile.usable_keys)),
    ):
        add_row(table, label, text)
    stdout.print(table)


@user_app.command("disable")
def disable_user(address: Address, as_json: Json = False) -> None:
    """Refuse all keys of a user and end open sessions within 30 seconds. Mail for the user is still accepted."""
    _set_disabled(address, True, as_json)


@user_app.command("enable")
def enable_user(address: Address, as_json: Json = False) -> None:
    """Allow a disabled user to log in again; takes effect within 30 seconds."""
    _set_disabled(address, False, as_json)


@user_app.command("remove")
def remove_user(
    address: Annotated[str, typer.Argument(help="An address of the user; with --free also a blocked address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    free: Annotated[
        bool, typer.Option("--free", help="Make the addresses available to other users immediately.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove a user with all keys and mail. Open sessions end within 30 seconds.

    The addresses stay blocked for 30 days, so that no other user receives mail that was meant for this one.
    """
    from relate import admin
    from relate.settings import load_command_settings

    def confirm(profile: "Profile") -> None:
        question = f"Remove {', '.join(profile.addresses)} with {profile.messages} messages? This cannot be undone."
        if not yes:
            typer.confirm(question, abort=True, err=True)

    removed = asyncio.run(admin.remove_user(load_command_settings(), address, confirm, free=free))
    if as_json:
        print_json({"removed": list(removed.addresses), "messages": removed.messages, "freed": list(removed.freed)})
        return
    if removed.addresses:
        stdout.print(f"removed {', '.join(removed.addresses)} and {removed.messages} messages", soft_wrap=True)
    if removed.freed:
        stdout.print(f"available again: {', '.join(removed.freed)}", soft_wrap=True)


@user_app.command("alias")
def alias_user(
    address: Address,
    alias: Annotated[str, typer.Argument(help="The additional address; *@DOMAIN is a catch-all.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the address instead.")] = False,
    as_json: Json = False,
) -> None:
    """Add an additional address to a user, or remove one.

    Mail for alice+anything@DOMAIN reaches alice@DOMAIN without an alias. A catch-all, '*@DOMAIN', receives the mail for
    all other addresses of that domain, and its user may send from any of them.
    """
    from relate import admin
    from relate.settings import load_command_settings

    addresses = asyncio.run(admin.set_alias(load_command_settings(), address, alias, add=not remove))
    _print_result(as_json, {"addresses": list(addresses)}, f"{addresses[0]} has {', '.join(addresses)}")


@user_app.command("quota")
def set_quota(
    address: Address,
    quota: Annotated[str, typer.Argument(help="Octets, such as 500M or 2G (powers of 1024), or none.")],
    as_json: Json = False,
) -> None:
    """Set a user's quota; takes effect within 30 seconds."""
    from relate import admin
    from relate.settings import load_command_settings

    user = asyncio.run(admin.set_quota(load_command_settings(), address, parse_quota(quota)))
    _print_result(as_json, _describe_user(user), f"{user.address} has {_format_octets(user.quota)}")


# --- keys


@key_app.command("create")
def create_key(
    address: Address,
    name: Annotated[str, typer.Option(help="The name of the key, such as the device that uses it.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="A permission; default: smtp, pop3 and imap.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=MAX_EXPIRY_DAYS, help="Days until the key expires; default: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it. It cannot be shown again."""
    from relate import admin
    from relate.settings import load_command_settings

    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    created: NewKey = asyncio.run(
        admin.create_key(load_command_settings(), address, name, scope or admin.MAIL_SCOPES, expires)
    )
    if as_json:
        print_json({**_describe_key(created.key), "address": address, "key": created.secret})
    else:
        print_note("this key is shown only once")
        print(created.secret)


@key_app.command("list")
def list_keys(address: Address, as_json: Json = False) -> None:
    """List a user's keys, including revoked ones."""
    from relate import admin
    from relate.settings import load_command_settings

    keys = asyncio.run(admin.list_keys(load_command_settings(), address))
    if as_json:
        print_json([_describe_key(key) for key in keys])
        return
    table = new_table("id", "name", "prefix", "scopes", "expires", "revoked", "last used")
    for key in keys:
        when = map(_format_minute, (key.expires, key.revoked, key.last_used))
        add_row(table, str(key.id), key.name, key.prefix, " ".join(sorted(key.scopes)), *when)
    stdout.print(table)


@key_app.command("revoke")
def revoke_key(address: Address, key_id: int, as_json: Json = False) -> None:
    """Revoke a key: all processes refuse it and end its sessions within 30 seconds."""
    from relate import admin
    from relate.settings import load_command_settings

    key = asyncio.run(admin.revoke_key(load_command_settings(), address, key_id))
    _print_result(as_json, _describe_key(key), f"revoked key {key_id}")


# --- mailboxes


@mailbox_app.command("list")
def list_mailboxes(address: Address, as_json: Json = False) -> None:
    """List a user's mailboxes with their message counts."""
    from relate import admin
    from relate.settings import load_command_settings

    rows = asyncio.run(admin.list_mailboxes(load_command_settings(), address))
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    table = new_table("mailbox", "messages", "unread", "octets", "use")
    for row in rows:
        add_row(table, row.name, str(row.messages), str(row.unread), str(row.octets), row.use)
    stdout.print(table)


# --- arguments and output


def parse_quota(text: str) -> int | None:
    """Parse `500M`, `2G` or `1000` into octets, `none` into None. Raises typer.BadParameter."""
    if text.lower() == "none":
        return None
    number, unit = (text[:-1], text[-1].upper()) if text and not text[-1].isdecimal() else (text, "")
    powers = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
    if unit not in powers or not (number.isascii() and number.isdecimal()) or len(number) > len(str(2**63)):
        raise typer.BadParameter("expected octets, such as 500M or 2G, or none", param_hint="QUOTA")
    octets: int = int(number) * 1024 ** powers[unit]
    if octets >= 2**63:
        raise typer.BadParameter("must be less than 2^63 octets", param_hint="QUOTA")
    return octets


def _set_disabled(address: str, disabled: bool, as_json: bool) -> None:
    from relate import admin
    from relate.settings import load_command_settings

    user = asyncio.run(admin.set_disabled(load_command_settings(), address, disabled))
    _print_result(as_json, _describe_user(user), f"{'disabled' if disabled else 'enabled'} {user.address}")


def _print_result(as_json: bool, value: object, sentence: str) -> None:
    if as_json:
        print_json(value)
    else:
        stdout.print(sentence, soft_wrap=True, markup=False, highlight=False)


def _format_minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _format_day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _format_octets(count: int | None) -> str:
    return "no limit" if count is None else f"{count:,} octets"


def _describe_user(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "address": user.address,
        "name": user.display_name,
        "quota": user.quota,
        "created": user.created.isoformat(),
        "disabled": user.disabled and user.disabled.isoformat(),
    }


def _describe_profile(profile: "Profile") -> dict[str, object]:
    return {
        **_describe_user(profile.user),
        "addresses": list(profile.addresses),
        "used": profile.usage,
        "messages": profile.messages,
        "mailboxes": profile.mailboxes,
        "usableKeys": profile.usable_keys,
    }


def _describe_key(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "expires": key.expires and key.expires.isoformat(),
        "revoked": key.revoked and key.revoked.isoformat(),
        "lastUsed": key.last_used and key.last_used.isoformat(),
    }
