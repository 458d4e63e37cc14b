"""Users, recipients, API keys and verdicts on logins. Immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

__all__ = [
    "ApiKey",
    "Denied",
    "FailureReason",
    "Granted",
    "Identity",
    "NewKey",
    "Recipient",
    "Revoked",
    "Scope",
    "User",
    "UserId",
    "Verdict",
]

UserId = NewType("UserId", int)  # equals the mail store's AccountId


class Scope(StrEnum):
    """A permission of a key. Routes and protocols without a scope deny all access."""

    SMTP = "smtp"
    POP3 = "pop3"
    IMAP = "imap"
    API_READ = "api:read"
    API_WRITE = "api:write"
    APP = "app"
    ADMIN = "admin"


class FailureReason(StrEnum):
    """Why a login failed, for telemetry; the client gets the same reply for all reasons."""

    USER_NOT_FOUND = "user_not_found"
    INVALID_KEY = "invalid_key"
    MISSING_SCOPE = "missing_scope"


@dataclass(frozen=True, slots=True)
class User:
    """A person or program with mail. `quota` is in octets, None for no limit; a disabled user cannot log in.

    `address` is the primary address; empty for a user of another system (`Identity`) who has none here, and so neither
    gets mail, nor sends any, nor logs in to a mail protocol.
    """

    id: UserId
    address: str
    display_name: str
    created: datetime
    quota: int | None = None
    disabled: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The public data of a key, without its secret. Times are UTC."""

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
    """A new key with its secret, which is not stored."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Domain:
    """A local domain in A-labels: when an administrator named it, None if only users' addresses make it local."""

    name: str
    added: datetime | None
    addresses: int


@dataclass(frozen=True, slots=True)
class DomainKey:
    """The public half of the DKIM keys of a domain and selector: TXT records by name (RFC 6376 §3.6).

    `created` is when they were added, None before that.
    """

    domain: str
    selector: str
    records: Mapping[str, str]
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """The user of a resolved local address, with the quota in octets."""

    user_id: UserId
    address: str
    quota: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as an OpenID Connect issuer names them: the subject is unique within the issuer (OIDC Core §2)."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A successful login; `expires` is the expiry of the key, or of the token, for which `key_id` is None."""

    user: User
    key_id: int | None
    key_name: str
    scopes: frozenset[Scope]
    cache_hit: bool = False
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A failed login. `rate_limited` means that it exceeded the limit of its client, and was delayed."""

    reason: FailureReason | None
    rate_limited: bool = False
    cache_hit: bool = False


Verdict = Granted | Denied


@dataclass(frozen=True, slots=True)
class Revoked:
    """Revoked keys, and disabled or removed users."""

    key_ids: frozenset[int] = frozenset()
    user_ids: frozenset[UserId] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.key_ids or self.user_ids)

    def covers(self, granted: Granted) -> bool:
        """Whether these revocations apply to a login."""
        return granted.key_id in self.key_ids or granted.user.id in self.user_ids
