"""Finding who a key belongs to, and whether it may still be used. Keys are found by prefix, never by trying them all.

This is what one kind of secret needs; limits, caching and verdicts are the authenticator's and know nothing of keys.
"""

from dataclasses import dataclass
from datetime import datetime

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import UserNotFound
from relate_accounts.keys import identify, same_hash
from relate_accounts.ports import AccountStore
from relate_accounts.types import ApiKey, FailureReason, Granted, User


@dataclass(frozen=True, slots=True)
class Accepted:
    """A secret that was right, until `expires`. `granted` is ready to be answered again and again from a cache."""

    granted: Granted
    expires: datetime | None = None


Found = Accepted | FailureReason


class KeyLookup:
    """Looks keys up in the store. Raises AccountsUnavailable."""

    def __init__(self, store: AccountStore, now: Now = utc_now) -> None:
        self._store = store
        self._now = now

    async def by_login(self, name: str, secret: str) -> Found:
        """The key of the user whose verified address this is, in canonical form."""
        keys = await self._usable_keys(secret)
        for key, user in keys:
            if user.address == name:
                return _accepted(key, user)
        # Another address of the user's, or a wrong login. Whether the user exists or not, a wrong login has cost one
        # hash, the query above and the one below: its time does not tell which addresses are somebody's.
        try:
            owner = await self._store.user_by_address(name)
        except UserNotFound:
            return FailureReason.USER_NOT_FOUND
        return next((_accepted(key, user) for key, user in keys if user.id == owner.id), FailureReason.INVALID_KEY)

    async def by_key(self, secret: str) -> Found:
        """The key alone. A secret that somebody chose for several users says nothing about who comes: it is refused."""
        keys = await self._usable_keys(secret)
        owners = {user.id for _, user in keys}
        return _accepted(*keys[0]) if len(owners) == 1 else FailureReason.INVALID_KEY

    async def _usable_keys(self, secret: str) -> list[tuple[ApiKey, User]]:
        presented = identify(secret, await self._store.hash_secret())
        found = await self._store.keys_by_prefix(presented.prefix)
        return [
            (key, user) for key, key_hash, user in found if same_hash(key_hash, presented.hash) and self._is_usable(key)
        ]

    def _is_usable(self, key: ApiKey) -> bool:
        return key.revoked is None and (key.expires is None or self._now() < key.expires)


def _accepted(key: ApiKey, user: User) -> Accepted:
    return Accepted(Granted(user, key.id, key.name, key.scopes, cache_hit=True), key.expires)
