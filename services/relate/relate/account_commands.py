"""The commands for users, keys and mailboxes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from relate.printing import add_row, new_table, note, out, print_json
from relate_accounts.types import ApiKey, NewKey, Scope, User

if TYPE_CHECKING:
    from relate.admin import Profile

user_app = typer.Typer(no_args_is_help=True, help="Users, their addresses and their mail.")
key_app = typer.Typer(no_args_is_help=True, help="API keys: what mail clients and programs log in with.")
mailbox_app = typer.Typer(no_args_is_help=True, help="The mailboxes of a user.")

# A hundred years: further than that the calendar of a client, or ours, may end.
MAX_DAYS = 36_525

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[str, typer.Argument(help="An address of the user.")]

T = TypeVar("T")


# --- users


@user_app.command("add")
def add_user(
    address: Annotated[str, typer.Argument(help="The user's primary address.")],
    name: Annotated[str, typer.Option(help="Display name.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="A further address; *@DOMAIN is a catch-all.")] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Room for mail, in octets.")] = None,
    as_json: Json = False,
) -> None:
    """Add a user with an address, and mailboxes for it."""
    from relate import admin
    from relate.settings import for_command

    user = asyncio.run(admin.add_user(for_command(), address, name, alias or (), quota))
    if as_json:
        print_json({"id": user.id, "address": user.address})
    else:
        out.print(f"added {user.address}")


@user_app.command("list")
def list_users(as_json: Json = False) -> None:
    """List all users."""
    from relate import admin
    from relate.settings import for_command

    rows = asyncio.run(admin.list_users(for_command()))
    if as_json:
        print_json([{**_describe_user(user), "addresses": list(addresses)} for user, addresses in rows])
        return
    table = new_table("address", "name", "further addresses", "since", "disabled")
    for user, addresses in rows:
        add_row(
            table, user.address, user.display_name, ", ".join(addresses[1:]), _day(user.created), _minute(user.disabled)
        )
    out.print(table)


@user_app.command("show")
def show_user(address: Address, as_json: Json = False) -> None:
    """Show a user: addresses, quota and what is used of it, messages, keys."""
    from relate import admin
    from relate.settings import for_command

    profile = asyncio.run(admin.show_user(for_command(), address))
    if as_json:
        print_json(_describe_profile(profile))
        return
    user = profile.user
    table = new_table("", "")
    table.show_header = False
    for label, text in (
        ("address", user.address),
        ("name", user.display_name),
        ("further addresses", ", ".join(profile.addresses[1:])),
        ("since", _minute(user.created)),
        ("disabled", _minute(user.disabled)),
        ("quota", _octets(user.quota)),
        ("used", _octets(profile.usage)),
        ("messages", f"{profile.messages} in {profile.mailboxes} mailboxes"),
        ("usable keys", str(profile.usable_keys)),
    ):
        add_row(table, label, text)
    out.print(table)


@user_app.command("disable")
def disable_user(address: Address, as_json: Json = False) -> None:
    """Refuse all keys of a user, and end the open sessions, within 30 seconds. Mail for the user is still taken."""
    _set_disabled(address, True, as_json)


@user_app.command("enable")
def enable_user(address: Address, as_json: Json = False) -> None:
    """Let a user log in again, within 30 seconds."""
    _set_disabled(address, False, as_json)


@user_app.command("remove")
def remove_user(
    address: Annotated[str, typer.Argument(help="An address of the user, or one that is blocked (with --free).")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    free: Annotated[bool, typer.Option("--free", help="Let the addresses be given to another user at once.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a user with all keys and all mail. Open sessions end within 30 seconds.

    The user's addresses are refused for 30 days, so that no other user gets mail that was meant for this one.
    """
    from relate import admin
    from relate.settings import for_command

    def confirm(profile: "Profile") -> None:
        question = f"Remove {', '.join(profile.addresses)} with {profile.messages} messages? This cannot be undone."
        if not yes:
            typer.confirm(question, abort=True, err=True)

    removed = asyncio.run(admin.remove_user(for_command(), address, confirm, free=free))
    if as_json:
        print_json({"removed": list(removed.addresses), "messages": removed.messages, "freed": list(removed.freed)})
        return
    if removed.addresses:
        out.print(f"removed {', '.join(removed.addresses)} and {removed.messages} messages", soft_wrap=True)
    if removed.freed:
        out.print(f"free again: {', '.join(removed.freed)}", soft_wrap=True)


@user_app.command("alias")
def alias_user(
    address: Address,
    alias: Annotated[str, typer.Argument(help="The further address; *@DOMAIN gets all mail of a domain.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the address away again.")] = False,
    as_json: Json = False,
) -> None:
    """Give a user a further address.

    Mail for alice+anything@DOMAIN reaches alice@DOMAIN without an alias. A catch-all, '*@DOMAIN', gets what is for no
    other address of that domain, and its user may send as any of those.
    """
    from relate import admin
    from relate.settings import for_command

    addresses = asyncio.run(admin.set_alias(for_command(), address, alias, given=not remove))
    _tell(as_json, {"addresses": list(addresses)}, f"{addresses[0]} has {', '.join(addresses)}")


@user_app.command("quota")
def set_quota(
    address: Address,
    quota: Annotated[str, typer.Argument(help="Octets, as 500M or 2G (powers of 1024), or none.")],
    as_json: Json = False,
) -> None:
    """Limit the room for a user's mail; takes effect within 30 seconds."""
    from relate import admin
    from relate.settings import for_command

    user = asyncio.run(admin.set_quota(for_command(), address, parse_quota(quota)))
    _tell(as_json, _describe_user(user), f"{user.address} has {_octets(user.quota)}")


# --- keys


@key_app.command("create")
def create_key(
    address: Address,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do; all of mail when none is given.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=MAX_DAYS, help="Days until it expires.")] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it: the only time that it is shown."""
    from relate import admin
    from relate.settings import for_command

    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made: NewKey = asyncio.run(admin.create_key(for_command(), address, name, scope or admin.MAIL_SCOPES, expires))
    if as_json:
        print_json({**_describe_key(made.key), "address": address, "key": made.secret})
    else:
        note("this key is shown only now")
        print(made.secret)


@key_app.command("list")
def list_keys(address: Address, as_json: Json = False) -> None:
    """List a user's keys, revoked ones too."""
    from relate import admin
    from relate.settings import for_command

    keys = asyncio.run(admin.list_keys(for_command(), address))
    if as_json:
        print_json([_describe_key(key) for key in keys])
        return
    table = new_table("id", "name", "prefix", "scopes", "expires", "revoked", "last used")
    for key in keys:
        when = map(_minute, (key.expires, key.revoked, key.last_used))
        add_row(table, str(key.id), key.name, key.prefix, " ".join(sorted(key.scopes)), *when)
    out.print(table)


@key_app.command("revoke")
def revoke_key(address: Address, key_id: int, as_json: Json = False) -> None:
    """Revoke a key: every process refuses it, and ends its open sessions, within 30 seconds."""
    from relate import admin
    from relate.settings import for_command

    key = asyncio.run(admin.revoke_key(for_command(), address, key_id))
    _tell(as_json, _describe_key(key), f"revoked key {key_id}")


# --- mailboxes


@mailbox_app.command("list")
def list_mailboxes(address: Address, as_json: Json = False) -> None:
    """List the mailboxes of a user, with the messages in each."""
    from relate import admin
    from relate.settings import for_command

    rows = asyncio.run(admin.list_mailboxes(for_command(), address))
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    table = new_table("mailbox", "messages", "unread", "octets", "use")
    for row in rows:
        add_row(table, row.name, str(row.messages), str(row.unread), str(row.octets), row.use)
    out.print(table)


# --- how things are told


def parse_quota(text: str) -> int | None:
    """Octets of `500M`, `2G`, `1000`; None of `none`. Raises typer.BadParameter."""
    if text.lower() == "none":
        return None
    number, unit = (text[:-1], text[-1].upper()) if text and not text[-1].isdecimal() else (text, "")
    powers = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
    if unit not in powers or not (number.isascii() and number.isdecimal()) or len(number) > len(str(2**63)):
        raise typer.BadParameter("octets, as 500M or 2G, or none", param_hint="QUOTA")
    octets: int = int(number) * 1024 ** powers[unit]
    if octets >= 2**63:
        raise typer.BadParameter("more than any disk has", param_hint="QUOTA")
    return octets


def _set_disabled(address: str, disabled: bool, as_json: bool) -> None:
    from relate import admin
    from relate.settings import for_command

    user = asyncio.run(admin.set_disabled(for_command(), address, disabled))
    _tell(as_json, _describe_user(user), f"{'disabled' if disabled else 'enabled'} {user.address}")


def _tell(as_json: bool, value: object, sentence: str) -> None:
    if as_json:
        print_json(value)
    else:
        out.print(sentence, soft_wrap=True, markup=False, highlight=False)


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _octets(count: int | None) -> str:
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
