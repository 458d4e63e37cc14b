"""The users of the developers' mode: one for each address that gets mail or logs in, made when it is first needed.

Each has an identity of this mode (`Identity`), which tells them from users that were made otherwise.
"""

import asyncio
from contextlib import suppress

from relate_accounts.addresses import find_canonical
from relate_accounts.errors import AddressBlocked, UserExists, UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.types import Identity, User, UserId
from relate_config import ConfigurationError

ISSUER = "urn:relate:developers"  # an issuer of tokens has a URL, so that none has this name
PAGE_USERS = 500


class Mailboxes:
    """The users by address."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts
        self._making = asyncio.Lock()  # tests begin with many new addresses at once, and SQLite has one writer

    async def owner(self, address: str) -> User | None:
        """The user of an address, who is made if there is none; None for what cannot be an address.

        Raises AccountsUnavailable.
        """
        canonical = find_canonical(address)
        if canonical is None:
            return None
        try:
            user = await self._accounts.user_by_identity(Identity(ISSUER, canonical))
        except UserNotFound:
            user = None
        if user is not None and user.address:
            return user
        async with self._making:
            return await self._make(canonical)

    async def _make(self, canonical: str) -> User | None:
        """Make a user in two steps, of which either may have been made before. None if another user has the address."""
        user = await self._accounts.add_identity(Identity(ISSUER, canonical))
        with suppress(UserExists, AddressBlocked):
            await self._accounts.add_alias(user.id, canonical)
        user = await self._accounts.user(user.id)
        return user if user.address == canonical else None

    async def check_users(self) -> None:
        """Raise ConfigurationError if there is a user that this mode has not made, because their mail would be open."""
        last = UserId(0)
        while page := await self._accounts.users_after(last, PAGE_USERS):
            for user in page:
                if not await self._is_own(user):
                    raise ConfigurationError(
                        "the database holds users that the developers' mode has not made, and it would open their "
                        "mailboxes to everybody: use another database (ConnectionStrings__DefaultConnection)"
                    )
            last = page[-1].id

    async def _is_own(self, user: User) -> bool:
        if not user.address:  # made for an address that this mode has not added yet; no mail reaches it
            return True
        try:
            return (await self._accounts.user_by_identity(Identity(ISSUER, user.address))).id == user.id
        except UserNotFound:
            return False
