"""The interfaces of accounts for protocols and endpoints: authenticator, directory and store."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from relate_accounts.profile_ports import ProfileStore
from relate_accounts.types import (
    ApiKey,
    Domain,
    DomainKey,
    FailureReason,
    Granted,
    Identity,
    NewKey,
    Recipient,
    Revoked,
    Scope,
    User,
    UserId,
    Verdict,
)
from relate_accounts.web_sessions import WebSessionStore

__all__ = ["AccountStore", "Authenticator", "Directory", "TokenAcceptor", "TokenLogins"]


class Authenticator(Protocol):
    """The authenticator of all protocols. Raises AccountsUnavailable; every other result is a verdict."""

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """Validate an address and a key for one scope; `client` is the client's IP address, for rate limits.

        `authorize_as` is the authorization identity if it differs from the login (RFC 4422 §2): always denied.
        """

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """Validate a key, or a token, without a login (REST); the caller checks the scopes."""

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` once when the key of this login is revoked or expires, or its user is disabled.

        Returns a function that ends the watch; it is idempotent.
        """


class TokenAcceptor(Authenticator, Protocol):
    """An `Authenticator` that accepts tokens of another system too, once it has their logins."""

    def accept_tokens(self, tokens: "TokenLogins") -> None:
        """Accept tokens beside keys in `validate_key`."""


class TokenLogins(Protocol):
    """Logins by tokens that another system issued, beside keys."""

    def is_token(self, secret: str) -> bool:
        """Whether a secret has the form of a token; all others are keys."""

    async def find(self, token: str) -> Granted | FailureReason:
        """Return the user of a token, who is created at the first login, or why it is refused.

        Raises AccountsUnavailable, also if the issuer is not available.
        """


class Directory(Protocol):
    """Maps addresses to users. Raises AccountsUnavailable."""

    async def resolve(self, address: str) -> Recipient | None:
        """Return the recipient of mail for this address, None if there is no such user.

        Case-insensitive. Tries the address, the address without `+detail`, the catch-all of the domain.
        """

    async def owns(self, user_id: UserId, address: str) -> bool:
        """Whether a user may send as this address: one of the user's addresses, or one of another domain that the user
        has proved (`claims`)."""

    async def is_local(self, domain: str) -> bool:
        """Whether any user has an address of this domain, or an administrator has named it."""


class AccountStore(Protocol):
    """Storage of users and keys, in memory or SQL."""

    @property
    def profiles(self) -> ProfileStore:
        """What users set about themselves."""

    @property
    def web_sessions(self) -> WebSessionStore:
        """The sessions of users who have signed in with a browser."""

    async def add_user(
        self, address: str, display_name: str = "", aliases: Collection[str] = (), quota: int | None = None
    ) -> User:
        """Create a user. Raises UserExists, AddressBlocked, InvalidAddress."""

    async def remove_user(self, user_id: UserId, *, free: bool = False) -> Sequence[str]:
        """Remove a user with all addresses, keys and identities, but not the mail; returns the addresses.

        For `removal.BLOCK_PERIOD` no other user can get the addresses, except catch-alls, and unless `free` is set.
        Raises UserNotFound.
        """

    async def free_address(self, address: str) -> bool:
        """Unblock an address of a removed user; returns whether it was blocked. Raises InvalidAddress."""

    async def is_blocked(self, address: str) -> bool:
        """Whether an address belonged to a user who was removed within `removal.BLOCK_PERIOD`, and is blocked."""

    async def removed_users(self) -> Sequence[UserId]:
        """Return the users removed within `removal.BLOCK_PERIOD`, sorted: mail may have arrived for them since."""

    async def add_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """Add an address to a user; idempotent. `*@domain` gets the mail for all unknown addresses of the domain.

        It becomes the primary one of a user who has none, unless it is a catch-all. Returns all addresses of the user.
        Raises UserNotFound, UserExists, AddressBlocked, InvalidAddress.
        """

    async def remove_alias(self, user_id: UserId, address: str) -> Sequence[str]:
        """Remove an alias; returns the remaining addresses.

        Raises AddressNotFound, also for the primary address.
        """

    async def set_quota(self, user_id: UserId, quota: int | None) -> User:
        """Set a user's quota in octets, None for no limit. Raises UserNotFound."""

    async def set_disabled(self, user_id: UserId, disabled: bool) -> User:
        """Disable a user's logins, which ends sessions of browsers, or enable them; idempotent. Raises UserNotFound."""

    async def set_display_name(self, user_id: UserId, display_name: str) -> User:
        """Set a user's display name. Raises UserNotFound."""

    async def users(self) -> Sequence[User]:
        """Return all users, sorted by address."""

    async def users_after(self, user_id: UserId, limit: int) -> Sequence[User]:
        """Return at most `limit` users with a higher id, sorted by id."""

    async def user(self, user_id: UserId) -> User:
        """Return the user with this id. Raises UserNotFound."""

    async def user_by_identity(self, identity: Identity) -> User:
        """Return the user of another system's identity. Raises UserNotFound."""

    async def add_identity(self, identity: Identity, address: str = "", display_name: str = "") -> User:
        """Create the user of an identity; idempotent. An existing user is returned unchanged.

        The user gets the address if it is valid, its domain is local, it is not blocked, and mail for it reaches no
        user, not even without its `+detail` or by a catch-all; else the user has none. An identity is never linked to a
        user who exists, because the issuer could then name any user, and read the mail.
        """

    async def user_by_address(self, address: str) -> User:
        """Return the user that owns a verified address. Raises UserNotFound."""

    async def addresses(self, user_id: UserId) -> Sequence[str]:
        """Return the verified addresses of a user, the primary one first."""

    async def create_key(
        self,
        user_id: UserId,
        name: str,
        scopes: Collection[Scope],
        expires: datetime | None = None,
        secret: str | None = None,
    ) -> NewKey:
        """Create a key; `secret` is random unless given, for benchmarks and tests.

        Raises UserNotFound, TooManyKeys, InvalidKeyName.
        """

    async def keys(self, user_id: UserId) -> Sequence[ApiKey]:
        """Return all keys of a user, including revoked ones, newest first."""

    async def revoke_key(self, user_id: UserId, key_id: int) -> ApiKey:
        """Revoke a key; idempotent. Raises KeyNotFound."""

    async def revoked_since(self, moment: datetime) -> Revoked:
        """Return the keys revoked, and the users disabled or removed, at that moment or later."""

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        """Return the keys with this prefix, each with its hash and its user."""

    async def hash_secret(self) -> bytes:
        """Return the secret for hashing keys, created at first use."""

    async def envelope_secret(self) -> bytes:
        """Return the secret that signs the envelope identifiers of outgoing mail, created at first use."""

    async def sign_in_secret(self) -> bytes:
        """Return the secret that signs what browsers keep while they sign in, created at first use."""

    async def touch_keys(self, last_used: Mapping[int, datetime]) -> None:
        """Set when keys were last used, as a batch."""

    async def has_domain(self, domain: str) -> bool:
        """Whether there is a verified address of this domain, or `add_domain` named it."""

    async def add_domain(self, domain: str) -> str:
        """Name a domain as local; idempotent. Returns it in A-labels. Raises InvalidAddress."""

    async def domains(self) -> Sequence[Domain]:
        """Return all local domains, sorted by name."""

    async def add_domain_key(self, key: DomainKey) -> None:
        """Store the public half of the keys of a new selector. Raises InvalidAddress, SelectorExists."""

    async def remove_domain_key(self, domain: str, selector: str) -> None:
        """Remove the public half of the keys of a selector; idempotent. Raises InvalidAddress."""

    async def domain_keys(self, domain: str) -> Sequence[DomainKey]:
        """Return the keys of a domain, the newest first."""
