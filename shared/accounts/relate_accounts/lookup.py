"""Looks up the user of an API key, and whether the key is usable. Keys are indexed by prefix.

Specific to API keys; the authenticator's limits, caches and verdicts are independent of the kind of secret.
"""

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import UserNotFound
from relate_accounts.keys import identify, same_hash
from relate_accounts.ports import AccountStore
from relate_accounts.types import ApiKey, FailureReason, Granted, User

Found = Granted | FailureReason  # Granted with cache_hit set, because the caller caches it


class KeyLookup:
    """Looks keys up in the store. Raises AccountsUnavailable."""

    def __init__(self, store: AccountStore, now: Now = utc_now) -> None:
        self._store = store
        self._now = now

    async def by_login(self, name: str, secret: str, *, single_query: bool) -> Found:
        """Look up a key and a verified address in canonical form of the same user.

        With `single_query` a wrong login costs one query, and the reason is always INVALID_KEY.
        """
        keys = await self._usable_keys(secret)
        for key, user in keys:
            if name and user.address == name:  # a name that is no address is empty, and so is no address
                return _granted(key, user)
        if single_query and not keys:
            return FailureReason.INVALID_KEY
        # An alias, or a wrong login. A wrong login costs one hash and these two queries whether or not the user exists,
        # so that its duration does not reveal which addresses exist.
        try:
            owner = await self._store.user_by_address(name)
        except UserNotFound:
            return FailureReason.USER_NOT_FOUND
        return next((_granted(key, user) for key, user in keys if user.id == owner.id), FailureReason.INVALID_KEY)

    async def by_key(self, secret: str) -> Found:
        """Look up a key without a login. A chosen secret that several users share is ambiguous, and refused."""
        keys = await self._usable_keys(secret)
        owners = {user.id for _, user in keys}
        return _granted(*keys[0]) if len(owners) == 1 else FailureReason.INVALID_KEY

    async def _usable_keys(self, secret: str) -> list[tuple[ApiKey, User]]:
        identity = identify(secret, await self._store.hash_secret())
        candidates = await self._store.keys_by_prefix(identity.prefix)
        return [
            (key, user)
            for key, key_hash, user in candidates
            if same_hash(key_hash, identity.hash) and self._is_usable(key, user)
        ]

    def _is_usable(self, key: ApiKey, user: User) -> bool:
        is_expired = key.expires is not None and self._now() >= key.expires
        return key.revoked is None and user.disabled is None and not is_expired


def _granted(key: ApiKey, user: User) -> Granted:
    return Granted(user, key.id, key.name, key.scopes, cache_hit=True, expires=key.expires)
