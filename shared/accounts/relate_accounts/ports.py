"""What protocols and endpoints ask about accounts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from relate_accounts.types import ApiKey, Granted, NewKey, Recipient, Revoked, Scope, User, UserId, Verdict


class Authenticator(Protocol):
    """The one authenticator of all protocols. Raises AccountsUnavailable; anything else is a verdict."""

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """Check an address and a key for one scope; `client` is the client's IP address, for rate limits.

        `authorize_as` is the user that the client wants to act as, if that is another one (RFC 4422 §2): always denied.
        """

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """Check a key alone (REST); scopes are for the caller to compare."""

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when the key of this login is revoked or has expired, or its user is disabled: once, if ever.

        Returns what ends the watch; calling that is idempotent.
        """


class Directory(Protocol):
    """Addresses: whose are they? Raises AccountsUnavailable."""

    async def resolve(self, address: str) -> Recipient | None:
        """Who receives mail for this address; None if no user does.

        Without regard to case; `+detail` also without; last the catch-all of the domain.
        """

    async def owns(self, user_id: UserId, address: str) -> bool:
        """Whether a user may send as this address: one of the user's verified ones."""

    async def is_local(self, domain: str) -> bool:
        """Whether any address here is of this domain."""


class AccountStore(Protocol):
    """Where users and keys are kept: memory or SQL."""

    async def add_user(
        self, address: str, display_name: str = "", aliases: Collection[str] = (), quota: int | None = None
    ) -> User:
        """Raises UserExists, AddressBlocked, InvalidAddress."""

    async def remove_user(self, user_id: UserId, *, free: bool = False) -> Sequence[str]:
        """Remove a user with all addresses and keys; the addresses. The mail is the mail store's to remove.

        For `removal.BLOCKED` the addresses are given to no other user, unless `free`; a catch-all may be at once.
        Raises UserNotFound.
        """

    async def free_address(self, address: str) -> bool:
        """End the blocking of an address of a removed user; whether it was blocked. Raises InvalidAddress."""

    async def is_blocked(self, address: str) -> bool:
        """Whether an address belonged to a user who was removed of late, and may not be given to another."""

    async def removed_users(self) -> Sequence[UserId]:
        """The users who were removed within `removal.BLOCKED`, in order: mail may have come for them since."""

    async def add_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """Give a user a further address; idempotent. `*@domain` gets all mail for no other address of the domain.

        All addresses of the user. Raises UserNotFound, UserExists, AddressBlocked, InvalidAddress.
        """

    async def remove_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """Take a further address away; the addresses that are left.

        Raises AddressNotFound, for the primary address too.
        """

    async def set_quota(self, user_id: UserId, quota: int | None) -> User:
        """Limit a user's mail to so many octets; None for no limit. Raises UserNotFound."""

    async def set_disabled(self, user_id: UserId, disabled: bool) -> User:
        """Keep a user from logging in, or end that; idempotent. Raises UserNotFound."""

    async def users(self) -> Sequence[User]:
        """All users, by address."""

    async def user_by_address(self, address: str) -> User:
        """The user that owns a verified address. Raises UserNotFound."""

    async def addresses(self, user_id: UserId) -> Sequence[str]:
        """The verified addresses of a user, the primary one first."""

    async def create_key(
        self,
        user_id: UserId,
        name: str,
        scopes: Collection[Scope],
        expires: datetime | None = None,
        secret: str | None = None,
    ) -> NewKey:
        """Make a key; `secret` is for seeding benchmarks and tests, and otherwise random.

        Raises UserNotFound, TooManyKeys, InvalidKeyName.
        """

    async def keys(self, user_id: UserId) -> Sequence[ApiKey]:
        """All keys of a user, revoked ones too, newest first."""

    async def revoke_key(self, user_id: UserId, key_id: int) -> ApiKey:
        """Revoke a key; idempotent. Raises KeyNotFound."""

    async def revoked_since(self, moment: datetime) -> Revoked:
        """The keys that were revoked, and the users that were disabled or removed, at that moment or later."""

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        """The keys with this prefix, each with its hash and its user."""

    async def hash_secret(self) -> bytes:
        """The secret under which keys are hashed, made at first use."""

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        """Write when keys were last used; in the background, many at once."""

    async def has_domain(self, domain: str) -> bool:
        """Whether any verified address is of this domain."""
