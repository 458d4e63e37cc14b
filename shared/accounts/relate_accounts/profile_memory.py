"""Profiles in memory: the reference implementation of `profile_ports.ProfileStore`, for tests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from relate_accounts.claims import CODE_PERIOD, CODES_PER_PERIOD, CODES_PERIOD, MAX_CLAIMS, MAX_TRIES, Claim
from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AddressNotFound, TooManyClaims, TooManyCodes, UserNotFound, WrongCode
from relate_accounts.keys import same_hash
from relate_accounts.profile_ports import Preference
from relate_accounts.types import User, UserId


@dataclass
class _Claimed:
    code_hash: bytes
    code_made: datetime
    tries: int = 0
    verified: datetime | None = None

    def value(self, address: str) -> Claim:
        return Claim(address, self.code_made, self.verified)


class MemoryProfileStore:
    """A non-persistent `ProfileStore` of these users, which `MemoryAccountStore` adds and removes."""

    def __init__(self, users: Mapping[UserId, User], now: Now = utc_now) -> None:
        self._users = users
        self._now = now
        self._preferences = defaultdict[UserId, dict[str, Preference]](dict)
        self._claims = defaultdict[UserId, dict[str, _Claimed]](dict)
        self._codes = defaultdict[UserId, list[datetime]](list)

    async def preferences(self, user_id: UserId) -> Mapping[str, Preference]:
        """See `profile_ports.ProfileStore`."""
        return dict(self._preferences[user_id]) if user_id in self._users else {}

    async def set_preferences(self, user_id: UserId, chosen: Mapping[str, Preference]) -> None:
        """See `profile_ports.ProfileStore`."""
        self._check_user(user_id)
        self._preferences[user_id].update(chosen)

    async def claims(self, user_id: UserId) -> Sequence[Claim]:
        """See `profile_ports.ProfileStore`."""
        claims = self._claims[user_id] if user_id in self._users else {}
        return [claimed.value(address) for address, claimed in sorted(claims.items())]

    async def claim(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """See `profile_ports.ProfileStore`."""
        self._check_user(user_id)
        claims, now = self._claims[user_id], self._now()
        known = claims.get(address)
        if known is not None and known.verified is not None:
            return known.value(address)
        if known is None and len(claims) >= MAX_CLAIMS:
            raise TooManyClaims
        self._codes[user_id] = [made for made in self._codes[user_id] if made > now - CODES_PERIOD]
        if len(self._codes[user_id]) >= CODES_PER_PERIOD:
            raise TooManyCodes
        self._codes[user_id].append(now)
        claims[address] = _Claimed(code_hash, now)
        return claims[address].value(address)

    async def prove(self, user_id: UserId, address: str, code_hash: bytes) -> Claim:
        """See `profile_ports.ProfileStore`."""
        claimed = self._claims[user_id].get(address) if user_id in self._users else None
        if claimed is None:
            raise AddressNotFound
        if claimed.verified is None:
            if claimed.tries >= MAX_TRIES or claimed.code_made <= self._now() - CODE_PERIOD:
                raise WrongCode
            claimed.tries += 1
        if not same_hash(claimed.code_hash, code_hash):
            raise WrongCode
        claimed.verified = claimed.verified or self._now()
        return claimed.value(address)

    async def withdraw(self, user_id: UserId, address: str) -> None:
        """See `profile_ports.ProfileStore`."""
        if user_id not in self._users or self._claims[user_id].pop(address, None) is None:
            raise AddressNotFound

    async def has_proved(self, user_id: UserId, address: str) -> bool:
        """See `profile_ports.ProfileStore`."""
        claimed = self._claims[user_id].get(address) if user_id in self._users else None
        return claimed is not None and claimed.verified is not None

    def _check_user(self, user_id: UserId) -> None:
        if user_id not in self._users:
            raise UserNotFound("no user has that id")
