"""Users, their addresses and API keys; what a login asks and what it is answered. Immutable values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

UserId = NewType("UserId", int)  # the mail store's AccountId is the same number


class Scope(StrEnum):
    """What a key may be used for. Deny is the default: a route or protocol without a scope lets nobody in."""

    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    API_READ = "api:read"
    API_WRITE = "api:write"
    APP = "app"
    ADMIN = "admin"


class FailureReason(StrEnum):
    """Why a login failed, for telemetry; the client is told the same sentence for all of them."""

    USER_NOT_FOUND = "user_not_found"
    INVALID_KEY = "invalid_key"
    MISSING_SCOPE = "missing_scope"


@dataclass(frozen=True, slots=True)
class User:
    """A person or program with mail. `quota` is in octets, None for no limit; a disabled user cannot log in."""

    id: UserId
    address: str  # the primary one
    display_name: str
    created: datetime
    quota: int | None = None
    disabled: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: never the secret itself. Times are UTC."""

    id: int
    user_id: UserId
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only time that its secret is known."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A local address resolved: whose mail it is, and how much of it fits."""

    user_id: UserId
    address: str
    quota: int | None


@dataclass(frozen=True, slots=True)
class Granted:
    """A login that succeeded; `expires` is the key's expiry."""

    user: User
    key_id: int
    key_name: str
    scopes: frozenset[Scope]
    cache_hit: bool = False
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A login that failed. `rate_limited`: it was one too many of its client address, and was answered late."""

    reason: FailureReason | None
    rate_limited: bool = False
    cache_hit: bool = False


Verdict = Granted | Denied


@dataclass(frozen=True, slots=True)
class Revoked:
    """What may not be used any more: keys that were revoked, and users that were disabled."""

    key_ids: frozenset[int] = frozenset()
    user_ids: frozenset[UserId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.key_ids or self.user_ids)

    def covers(self, granted: Granted) -> bool:
        """Whether a login with such a key would be refused now."""
        return granted.key_id in self.key_ids or granted.user.id in self.user_ids
