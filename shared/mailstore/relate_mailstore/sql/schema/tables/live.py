"""What clients are told after the fact: outcomes, webhooks and push messages."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Identity, Index, Integer, Table, Text, Uuid, text

from relate_mailstore.sql.schema.tables.metadata import Id, metadata

# The accounts whose outcomes are stored, because a client has followed them. The row is locked until the commit, so
# that numbers become visible in their order.
followed_accounts = Table(
    "followed_accounts",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_number", BigInteger, nullable=False),
    Column("horizon", BigInteger, nullable=False),  # the number up to which outcomes were trimmed
    sqlite_with_rowid=False,
)

# What became of outgoing mail, for clients that resume: `live_types.Outcome`.
outcomes = Table(
    "outcomes",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),  # `EventName`
    Column("time", Double, nullable=False),  # seconds since the epoch
    Column("message_id", Uuid),
    Column("recipient", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Index("ix_outcomes_time", "time"),
    sqlite_with_rowid=False,
)

# The row is locked by transactions that add deliveries, so that these are numbered in the order of their commits.
# Push subscriptions, at the URL of a push service, have the keys of their browser.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),  # `WebhookEvent`s, separated by spaces
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled", Text, nullable=False),  # `DisabledReason`
    Column("created", Double, nullable=False),  # seconds since the epoch, like the following times
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text, nullable=False),
    Column("previous_until", Double, nullable=False),
    Column("last_number", BigInteger, nullable=False),  # of its deliveries
    Column("due", Double),  # the next attempt, or the end of the lease; NULL if nothing is pending, or it is disabled
    Column("p256dh", Text),  # NULL of a webhook
    Column("auth", Text),
    Index("ix_webhooks_account_id", "account_id"),
    Index(
        "ix_webhooks_pushes",
        "account_id",
        "url",
        unique=True,
        postgresql_where=text("p256dh IS NOT NULL"),
        sqlite_where=text("p256dh IS NOT NULL"),
    ),
    Index("ix_webhooks_due", "due", postgresql_where=text("due IS NOT NULL"), sqlite_where=text("due IS NOT NULL")),
    sqlite_autoincrement=True,
)

# What webhooks are told, in the transaction of what it tells of.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("webhook_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False),
    Column("event", Text, nullable=False),  # `WebhookEvent`
    Column("body", Text, nullable=False),  # JSON
    Column("created", Double, nullable=False),  # seconds since the epoch
    Column("origin", Text),  # traceparent of the event
    Column("state", Text, nullable=False),  # `WebhookState`
    Column("attempts", Integer, nullable=False),
    Column("attempted", Double),  # the last attempt, like the following
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Index("ix_webhook_deliveries_id", "id"),
    Index(
        "ix_webhook_deliveries_pending",
        "webhook_id",
        "number",
        postgresql_where=text("state = 'pending'"),
        sqlite_where=text("state = 'pending'"),
    ),
    sqlite_with_rowid=False,
)

# Private keys of this installation, which all of its processes share: the one of push subscriptions, which are bound to
# it (RFC 8292 §4), so that it is backed up with them.
server_keys = Table(
    "server_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    sqlite_with_rowid=False,
)
