"""The tables of accounts. The mail store's migrations create them (0001 to 0024); a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

# SQLite generates row ids only for columns of type INTEGER, which has 64 bits there.
_Id = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A datetime in UTC. SQLite stores no time zone, so that it is added on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

# Partial indexes, because every process polls for recent revocations every few seconds, and few rows are revoked.
_REVOKED = text("revoked IS NOT NULL")
_DISABLED = text("disabled IS NOT NULL")

# AUTOINCREMENT, because an id must never be reused: it identifies the user's mail.
users = Table(
    "users",
    metadata,
    Column("id", _Id, Identity(), primary_key=True),
    Column("address", Text, nullable=False),  # empty for none
    Column("display_name", Text, nullable=False),
    Column("quota", BigInteger),
    Column("created", UtcDateTime, nullable=False),
    Column("disabled", UtcDateTime),
    Index("ix_users_disabled", "disabled", sqlite_where=_DISABLED, postgresql_where=_DISABLED),
    sqlite_autoincrement=True,
)

addresses = Table(
    "addresses",
    metadata,
    Column("address", Text, primary_key=True),  # canonical
    Column("domain", Text, nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("verified", Boolean, nullable=False),
    Index("ix_addresses_user_id", "user_id"),
    Index("ix_addresses_domain", "domain"),
)

# The users of OpenID Connect issuers.
oidc_identities = Table(
    "oidc_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index("ix_oidc_identities_user_id", "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _Id, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),  # sorted, separated by spaces
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime),
    Column("revoked", UtcDateTime),
    Column("last_used", UtcDateTime),
    Index("ix_api_keys_user_id", "user_id"),
    Index("ix_api_keys_prefix", "prefix"),
    Index("ix_api_keys_revoked", "revoked", sqlite_where=_REVOKED, postgresql_where=_REVOKED),
    sqlite_autoincrement=True,
)

# No foreign key, because the user is deleted. A row is deleted after `removal.BLOCK_PERIOD`.
removed_addresses = Table(
    "removed_addresses",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),
    Column("removed", UtcDateTime, nullable=False),
    Column("blocked", Boolean, nullable=False),  # no other user can get the address
    Index("ix_removed_addresses_address", "address"),
    Index("ix_removed_addresses_removed", "removed"),
)

# Domains that an administrator named: local also while no user has an address in them.
domains = Table(
    "domains",
    metadata,
    Column("name", Text, primary_key=True),  # canonical
    Column("added", UtcDateTime, nullable=False),
)

# The public halves of the DKIM keys of a domain; the private ones are files of the relay.
domain_keys = Table(
    "domain_keys",
    metadata,
    Column("domain", Text, primary_key=True),  # canonical
    Column("selector", Text, primary_key=True),
    Column("records", Text, nullable=False),  # JSON: the TXT records by name
    Column("created", UtcDateTime, nullable=False),
)

# What users have chosen; what is missing has its default. A value is JSON.
preferences = Table(
    "preferences",
    metadata,
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Addresses of other domains that users say are theirs, and may send from once they have proved it. Several users may
# share one. They receive nothing here, so that they are not in `addresses`.
claimed_addresses = Table(
    "claimed_addresses",
    metadata,
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("address", Text, primary_key=True),  # canonical
    Column("code_hash", LargeBinary, nullable=False),
    Column("code_made", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("verified", UtcDateTime),
)

# When codes were made, also of claims that were withdrawn, for the limit on them.
claim_codes = Table(
    "claim_codes",
    metadata,
    Column("id", _Id, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("made", UtcDateTime, nullable=False),
    Index("ix_claim_codes_user_id", "user_id"),
)

# People who have signed in with a browser. The hash is that of a random token, which only the browser has.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("key_id", BigInteger, ForeignKey("api_keys.id", ondelete="CASCADE")),  # NULL for a login by an issuer
    Column("scopes", Text, nullable=False),  # sorted, separated by spaces
    Column("csrf", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("used", UtcDateTime, nullable=False),
    Index("ix_web_sessions_user_id", "user_id"),
    Index("ix_web_sessions_key_id", "key_id"),
    Index("ix_web_sessions_used", "used"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
