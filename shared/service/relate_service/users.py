"""What administration does with a user's account and mail together: for the command line and the API."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from relate_accounts.addresses import canonical_address, is_catch_all
from relate_accounts.errors import InvalidAddress
from relate_accounts.ports import AccountStore
from relate_accounts.types import User
from relate_mailstore.erase import erase
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId


class Profile(NamedTuple):
    """A user with usage figures; `addresses` starts with the primary one, `usage` is in octets."""

    user: User
    addresses: Sequence[str]
    usage: int
    messages: int
    mailboxes: int
    usable_keys: int


async def create_user(
    accounts: AccountStore,
    mail: MailStore,
    address: str,
    *,
    display_name: str = "",
    aliases: Collection[str] = (),
    quota: int | None = None,
) -> User:
    """Create a user and the default mailboxes. Raises UserExists, AddressBlocked, InvalidAddress.

    A catch-all can be one of the `aliases` only: mail that the user sends needs an address.
    """
    if is_catch_all(canonical_address(address)):
        raise InvalidAddress("a catch-all cannot be the primary address, but a further one")
    user = await accounts.add_user(address, display_name, aliases, quota)
    await mail.provision(AccountId(user.id))
    return user


class OfAccount(Protocol):
    """What an account has beside its mail: its filters, for example."""

    async def erase(self, account_id: AccountId) -> None:
        """Remove all of it; idempotent."""


async def remove_user(
    accounts: AccountStore, mail: MailStore, others: Iterable[OfAccount], user: User, *, free: bool = False
) -> tuple[Sequence[str], int]:
    """Remove a user, all keys, all mail and the `others`; returns the addresses and the number of messages.

    With `free` other users can have the addresses at once. Raises UserNotFound. If it is interrupted, housekeeping
    erases the rest of the mail.
    """
    # The user is removed before the mail, so that no further mail is delivered.
    addresses = await accounts.remove_user(user.id, free=free)
    account_id = AccountId(user.id)
    for each in others:
        await each.erase(account_id)
    return addresses, await erase(mail, account_id)


async def read_profile(accounts: AccountStore, mail: MailStore, user: User) -> Profile:
    """A user with usage figures."""
    account_id = AccountId(user.id)
    mailboxes = await mail.mailboxes(account_id)
    now = datetime.now(UTC)
    keys = await accounts.keys(user.id)
    return Profile(
        user,
        await accounts.addresses(user.id),
        await mail.usage(account_id),
        sum(mailbox.messages for mailbox in mailboxes),
        len(mailboxes),
        sum(key.revoked is None and (key.expires is None or key.expires > now) for key in keys),
    )


def suppressible_address(address: str) -> str:
    """An address that may be on the suppression list, canonical. Raises InvalidAddress, also for a catch-all."""
    canonical = canonical_address(address)
    if is_catch_all(canonical):
        raise InvalidAddress("a catch-all cannot be suppressed; give the addresses one by one")
    return canonical
