"""Accounts in memory: the reference implementation of `ports.AccountStore`, for tests."""

import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import NamedTuple

from relate_accounts.addresses import (
    canonical_address,
    canonical_domain,
    domain_of,
    find_canonical,
    is_catch_all,
    reachable_by,
)
from relate_accounts.clock import Now, as_utc, utc_now
from relate_accounts.errors import (
    AddressBlocked,
    AddressNotFound,
    InvalidAddress,
    KeyNotFound,
    SelectorExists,
    TooManyKeys,
    UserExists,
    UserNotFound,
)
from relate_accounts.keys import MAX_KEYS_PER_USER, check_key_name, generate_key, identify
from relate_accounts.profile_memory import MemoryProfileStore
from relate_accounts.profile_ports import ProfileStore
from relate_accounts.removal import BLOCK_PERIOD
from relate_accounts.types import ApiKey, Domain, DomainKey, Identity, NewKey, Revoked, Scope, User, UserId
from relate_accounts.web_session_memory import MemoryWebSessionStore

_NO_ADDRESS = ""


class _Removal(NamedTuple):
    """When the user of an address was removed, and whether the address is blocked for other users."""

    moment: datetime
    blocked: bool


class MemoryAccountStore:
    """A non-persistent `AccountStore`. `hash_secret` as in `SqlAccountStore`."""

    def __init__(self, hash_secret: bytes | None = None, now: Now = utc_now) -> None:
        self._hash_secret = hash_secret or secrets.token_bytes(32)
        self._envelope_secret = secrets.token_bytes(32)
        self._sign_in_secret = secrets.token_bytes(32)
        self._now = now
        self._users: dict[UserId, User] = {}
        self._owners: dict[str, UserId] = {}  # by canonical address, the primary one of a user first
        self._identities: dict[Identity, UserId] = {}
        self._keys: dict[int, tuple[ApiKey, bytes]] = {}
        self._removed: dict[tuple[UserId, str], _Removal] = {}
        self._domains: dict[str, datetime] = {}
        self._domain_keys: dict[str, list[DomainKey]] = {}  # the newest first
        self._ids = count(1)
        self.profiles: ProfileStore = MemoryProfileStore(self._users, now)
        self.web_sessions = MemoryWebSessionStore(self._users, self._keys)

    async def add_user(
        self, address: str, display_name: str = "", aliases: Collection[str] = (), quota: int | None = None
    ) -> User:
        """See `ports.AccountStore`."""
        owned = [canonical_address(text) for text in (address, *aliases)]
        self._check_available(owned)
        user = User(UserId(next(self._ids)), owned[0], display_name, self._now(), quota)
        self._users[user.id] = user
        self._owners.update(dict.fromkeys(owned, user.id))
        return user

    async def remove_user(self, user_id: UserId, *, free: bool = False) -> Sequence[str]:
        """See `ports.AccountStore`."""
        if self._users.pop(user_id, None) is None:
            raise UserNotFound("no user has that id")
        owned = await self.addresses(user_id)
        for address in owned:
            del self._owners[address]
            self._removed[user_id, address] = _Removal(self._now(), blocked=not (free or is_catch_all(address)))
        if not owned:  # told to other processes nevertheless
            self._removed[user_id, _NO_ADDRESS] = _Removal(self._now(), blocked=False)
        self._keys = {id_: entry for id_, entry in self._keys.items() if entry[0].user_id != user_id}
        self._identities = {identity: owner for identity, owner in self._identities.items() if owner != user_id}
        return owned

    async def free_address(self, address: str) -> bool:
        """See `ports.AccountStore`."""
        canonical = canonical_address(address)
        was_blocked = await self.is_blocked(canonical)
        for removed, removal in self._removed.items():
            if removed[1] == canonical:
                self._removed[removed] = removal._replace(blocked=False)
        return was_blocked

    async def is_blocked(self, address: str) -> bool:
        """See `ports.AccountStore`."""
        try:
            return self._is_blocked(canonical_address(address))
        except InvalidAddress:
            return False

    async def removed_users(self) -> Sequence[UserId]:
        """See `ports.AccountStore`."""
        since = self._now() - BLOCK_PERIOD
        return sorted({user_id for (user_id, _), removal in self._removed.items() if removal.moment > since})

    async def add_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """See `ports.AccountStore`."""
        canonical = canonical_address(address)
        user = await self.user(user_id)
        if self._owners.get(canonical) != user_id:
            self._check_available([canonical])
            self._owners[canonical] = user_id
        if not (user.address or is_catch_all(canonical)):
            self._users[user_id] = replace(user, address=canonical)
        return await self.addresses(user_id)

    async def remove_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """See `ports.AccountStore`."""
        user, canonical = self._users.get(user_id), canonical_address(address)
        if user is None or self._owners.get(canonical) != user_id or canonical == user.address:
            raise AddressNotFound
        del self._owners[canonical]
        return await self.addresses(user_id)

    async def set_quota(self, user_id: UserId, quota: int | None) -> User:
        """See `ports.AccountStore`."""
        self._users[user_id] = changed = replace(await self.user(user_id), quota=quota)
        return changed

    async def set_disabled(self, user_id: UserId, disabled: bool) -> User:
        """See `ports.AccountStore`."""
        user = await self.user(user_id)
        self._users[user_id] = changed = replace(user, disabled=(user.disabled or self._now()) if disabled else None)
        if disabled:
            self.web_sessions.remove_of(user_id)
        return changed

    async def set_display_name(self, user_id: UserId, display_name: str) -> User:
        """See `ports.AccountStore`."""
        self._users[user_id] = changed = replace(await self.user(user_id), display_name=display_name)
        return changed

    async def users(self) -> Sequence[User]:
        """See `ports.AccountStore`."""
        return sorted(self._users.values(), key=lambda user: user.address)

    async def users_after(self, user_id: UserId, limit: int) -> Sequence[User]:
        """See `ports.AccountStore`."""
        return [self._users[id_] for id_ in sorted(self._users) if id_ > user_id][:limit]

    async def user(self, user_id: UserId) -> User:
        """See `ports.AccountStore`."""
        try:
            return self._users[user_id]
        except KeyError:
            raise UserNotFound("no user has that id") from None

    async def user_by_identity(self, identity: Identity) -> User:
        """See `ports.AccountStore`."""
        try:
            return self._users[self._identities[identity]]
        except KeyError:
            raise UserNotFound("no user has that identity") from None

    async def add_identity(self, identity: Identity, address: str = "", display_name: str = "") -> User:
        """See `ports.AccountStore`."""
        if identity in self._identities:
            return await self.user_by_identity(identity)
        canonical = find_canonical(address)
        taken = canonical if canonical is not None and await self._is_free(canonical) else _NO_ADDRESS
        user = User(UserId(next(self._ids)), taken, display_name, self._now())
        self._users[user.id] = user
        self._identities[identity] = user.id
        if taken:
            self._owners[taken] = user.id
        return user

    async def user_by_address(self, address: str) -> User:
        """See `ports.AccountStore`."""
        try:
            return self._users[self._owners[canonical_address(address)]]
        except (KeyError, InvalidAddress):
            raise UserNotFound("no user has that address") from None

    async def addresses(self, user_id: UserId) -> Sequence[str]:
        """See `ports.AccountStore`."""
        owned = [address for address, owner in self._owners.items() if owner == user_id]
        primary = self._users[user_id].address if user_id in self._users else owned[:1] and owned[0]
        return sorted(owned, key=lambda address: (address != primary, address))

    async def create_key(
        self,
        user_id: UserId,
        name: str,
        scopes: Collection[Scope],
        expires: datetime | None = None,
        secret: str | None = None,
    ) -> NewKey:
        """See `ports.AccountStore`."""
        if user_id not in self._users:
            raise UserNotFound("no user has that id")
        check_key_name(name)
        if sum(self._is_usable(key) for key, _ in self._keys.values() if key.user_id == user_id) >= MAX_KEYS_PER_USER:
            raise TooManyKeys(f"a user has at most {MAX_KEYS_PER_USER} keys")
        secret = secret or generate_key()
        identity = identify(secret, self._hash_secret)
        key = ApiKey(
            id=next(self._ids),
            user_id=user_id,
            name=name,
            prefix=identity.prefix,
            scopes=frozenset(scopes),
            created=self._now(),
            expires=expires and as_utc(expires),
        )
        self._keys[key.id] = (key, identity.hash)
        return NewKey(key, secret)

    async def keys(self, user_id: UserId) -> Sequence[ApiKey]:
        """See `ports.AccountStore`."""
        return [key for key, _ in reversed(self._keys.values()) if key.user_id == user_id]

    async def revoke_key(self, user_id: UserId, key_id: int) -> ApiKey:
        """See `ports.AccountStore`."""
        key, key_hash = self._keys.get(key_id, (None, b""))
        if key is None or key.user_id != user_id:
            raise KeyNotFound("no such key of this user")
        revoked = replace(key, revoked=key.revoked or self._now())
        self._keys[key_id] = (revoked, key_hash)
        return revoked

    async def revoked_since(self, moment: datetime) -> Revoked:
        """See `ports.AccountStore`."""
        return Revoked(
            frozenset(key.id for key, _ in self._keys.values() if key.revoked and key.revoked >= moment),
            frozenset(user.id for user in self._users.values() if user.disabled and user.disabled >= moment)
            | {user_id for (user_id, _), removal in self._removed.items() if removal.moment >= moment},
        )

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        """See `ports.AccountStore`."""
        return [
            (key, key_hash, self._users[key.user_id]) for key, key_hash in self._keys.values() if key.prefix == prefix
        ]

    async def hash_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return self._hash_secret

    async def envelope_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return self._envelope_secret

    async def sign_in_secret(self) -> bytes:
        """See `ports.AccountStore`."""
        return self._sign_in_secret

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        """See `ports.AccountStore`."""
        for key_id, used in last_used.items():
            key, key_hash = self._keys.get(key_id, (None, b""))
            if key is not None and (key.last_used is None or key.last_used < used):
                self._keys[key_id] = (replace(key, last_used=used), key_hash)

    async def has_domain(self, domain: str) -> bool:
        """See `ports.AccountStore`."""
        try:
            canonical = canonical_domain(domain)
        except InvalidAddress:
            return False
        return canonical in self._domains or any(domain_of(address) == canonical for address in self._owners)

    async def add_domain(self, domain: str) -> str:
        """See `ports.AccountStore`."""
        canonical = canonical_domain(domain)
        self._domains.setdefault(canonical, self._now())
        return canonical

    async def domains(self) -> Sequence[Domain]:
        """See `ports.AccountStore`."""
        counts = Counter(map(domain_of, self._owners))
        return [Domain(name, self._domains.get(name), counts[name]) for name in sorted({*counts, *self._domains})]

    async def add_domain_key(self, key: DomainKey) -> None:
        """See `ports.AccountStore`."""
        domain = canonical_domain(key.domain)
        known = self._domain_keys.setdefault(domain, [])
        if any(each.selector == key.selector for each in known):
            raise SelectorExists
        known.insert(0, replace(key, domain=domain, created=self._now()))

    async def remove_domain_key(self, domain: str, selector: str) -> None:
        """See `ports.AccountStore`."""
        known = self._domain_keys.get(canonical_domain(domain), [])
        known[:] = [key for key in known if key.selector != selector]

    async def domain_keys(self, domain: str) -> Sequence[DomainKey]:
        """See `ports.AccountStore`."""
        try:
            return list(self._domain_keys.get(canonical_domain(domain), []))
        except InvalidAddress:
            return []

    async def _is_free(self, canonical: str) -> bool:
        """Whether the user of a new identity may have an address."""
        is_reached = not self._owners.keys().isdisjoint(reachable_by(canonical))
        return (
            await self.has_domain(domain_of(canonical))
            and not (is_reached or self._is_blocked(canonical))
            and not is_catch_all(canonical)
        )

    def _check_available(self, owned: Collection[str]) -> None:
        """Raises UserExists, AddressBlocked."""
        if not self._owners.keys().isdisjoint(owned):
            raise UserExists("an address belongs to a user already")
        if any(map(self._is_blocked, owned)):
            raise AddressBlocked

    def _is_blocked(self, canonical: str) -> bool:
        since = self._now() - BLOCK_PERIOD
        return any(
            address == canonical and removal.blocked and removal.moment > since
            for (_, address), removal in self._removed.items()
        )

    def _is_usable(self, key: ApiKey) -> bool:
        return key.revoked is None and (key.expires is None or key.expires > self._now())
