"""What accounts send, and addresses to which nothing is sent."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, Uuid

from relate_mailstore.sql.schema.tables.metadata import metadata

# The recipients elsewhere that an account has sent to, by period: those of an hour, and those of a day.
sent_recipients = Table(
    "sent_recipients",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period", Integer, primary_key=True, autoincrement=False),  # seconds
    Column("counts", Text, nullable=False),  # JSON: `sending_rules.Counts`; old counts are removed
    Column("told", Double, nullable=False),  # seconds since the epoch: when the owner was told that mail is held
    sqlite_with_rowid=False,
)

# Requests with an Idempotency-Key by which messages were sent, for a day.
answered_requests = Table(
    "answered_requests",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # a hash of the request's content
    Column("response", Text, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("is_held", Boolean, nullable=False),
    Column("answered", Double, nullable=False),  # seconds since the epoch
    Index("ix_answered_requests_answered", "answered"),
    sqlite_with_rowid=False,
)

# Addresses elsewhere that accept no mail. Of no account: see `suppression_types`.
suppressions = Table(
    "suppressions",
    metadata,
    Column("address", Text, primary_key=True),  # canonical
    Column("source", Text, nullable=False),  # `SuppressionSource`
    Column("added", Double, nullable=False),  # seconds since the epoch, like the following
    Column("expires", Double),  # NULL: when it is removed
    Column("status", Text, nullable=False),
    Column("text", Text, nullable=False),
)
