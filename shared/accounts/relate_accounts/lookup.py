"""Finding who a key belongs to, and whether it may still be used. Keys are found by prefix, never by trying them all.

This is what one kind of secret needs; limits, caching and verdicts are the authenticator's and know nothing of keys.
"""

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import UserNotFound
from relate_accounts.keys import identify, same_hash
from relate_accounts.ports import AccountStore
from relate_accounts.types import ApiKey, FailureReason, Granted, User

Found = Granted | FailureReason  # a login that is granted is marked as a cache hit: a cache is where it goes


class KeyLookup:
    """Looks keys up in the store. Raises AccountsUnavailable."""

    def __init__(self, store: AccountStore, now: Now = utc_now) -> None:
        self._store = store
        self._now = now

    async def by_login(self, name: str, secret: str, *, brief: bool) -> Found:
        """The key of the user whose verified address this is, in canonical form.

        A wrong login costs one query where it is `brief`, and then its reason is always INVALID_KEY.
        """
        keys = await self._usable_keys(secret)
        for key, user in keys:
            if user.address == name:
                return _granted(key, user)
        if brief and not keys:
            return FailureReason.INVALID_KEY
        # Another address of the user's, or a wrong login. Whether the user exists or not, a wrong login has cost one
        # hash, the query above and the one below: its time does not tell which addresses exist.
        try:
            owner = await self._store.user_by_address(name)
        except UserNotFound:
            return FailureReason.USER_NOT_FOUND
        return next((_granted(key, user) for key, user in keys if user.id == owner.id), FailureReason.INVALID_KEY)

    async def by_key(self, secret: str) -> Found:
        """The key alone. A secret that was chosen for several users does not say whose login it is: it is refused."""
        keys = await self._usable_keys(secret)
        owners = {user.id for _, user in keys}
        return _granted(*keys[0]) if len(owners) == 1 else FailureReason.INVALID_KEY

    async def _usable_keys(self, secret: str) -> list[tuple[ApiKey, User]]:
        presented = identify(secret, await self._store.hash_secret())
        found = await self._store.keys_by_prefix(presented.prefix)
        return [
            (key, user)
            for key, key_hash, user in found
            if same_hash(key_hash, presented.hash) and self._is_usable(key, user)
        ]

    def _is_usable(self, key: ApiKey, user: User) -> bool:
        is_expired = key.expires is not None and self._now() >= key.expires
        return key.revoked is None and user.disabled is None and not is_expired


def _granted(key: ApiKey, user: User) -> Granted:
    return Granted(user, key.id, key.name, key.scopes, cache_hit=True, expires=key.expires)
