"""The queue of outgoing mail, and what its runners share."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Identity, Index, Integer, Table, Text, Uuid, text

from relate_mailstore.sql.schema.tables.metadata import Id, metadata

# Outgoing mail. A row owns the blob of its id, as a row of `messages` does. Read across accounts, by the runners.
queue_messages = Table(
    "queue_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", BigInteger, nullable=False),  # of the sender
    Column("sender", Text, nullable=False),  # the reverse-path
    Column("ret", Text, nullable=False),
    Column("envid", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("is_8bit", Boolean, nullable=False),
    Column("is_utf8", Boolean, nullable=False),
    Column("header_message_id", Text, nullable=False),
    Column("origin", Text),  # traceparent of the delivery
    Column("unfinished", Integer, nullable=False),  # recipients that are in no final state
)

# AUTOINCREMENT: an operator or a runner may still hold the id of a row that was removed.
# The index of what is due has no row of held and finished recipients. By domain first, so that a claim skips from one
# destination to the next, however many recipients each has.
queue_recipients = Table(
    "queue_recipients",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("address", Text, nullable=False),
    Column("domain", Text, nullable=False),  # lower case, A-labels
    Column("notify", Text, nullable=False),
    Column("orcpt", Text, nullable=False),
    Column("arrived", Double, nullable=False),  # seconds since the epoch
    Column("state", Text, nullable=False),  # `QueueState`
    Column("due", Double),  # seconds since the epoch: the next attempt
    Column("attempts", Integer, nullable=False),
    Column("runner", Text, nullable=False),  # that has or had the lease
    Column("requested", Text, nullable=False),  # the state that an operator requested of a leased row, else ""
    Column("delay_told", Boolean, nullable=False),  # the sender was told of the delay
    Column("reply", Text, nullable=False),  # of the last attempt, like the following
    Column("status", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Index("ix_queue_recipients_message_id", "message_id"),
    Index(
        "ix_queue_recipients_domain_due",
        "domain",
        "due",
        postgresql_where=text("due IS NOT NULL"),
        sqlite_where=text("due IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

# The relays that run. Each adds to its `beats` every few seconds; the others see by it that it lives, whatever their
# clocks say.
queue_runners = Table(
    "queue_runners",
    metadata,
    Column("name", Text, primary_key=True),
    Column("beats", BigInteger, nullable=False),
)

# The destinations that could not be reached, for all relays.
queue_destinations = Table(
    "queue_destinations",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("suspended_until", Double, nullable=False),  # seconds since the epoch: the next probe
    Column("probes", Integer, nullable=False),  # so far
    Column("reply", Text, nullable=False),  # why: what the last attempt said
)

# The MTA-STS policies of other domains, which have to outlive the process: an attacker who blocks their host would
# disable them by a restart.
sts_policies = Table(
    "sts_policies",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("fetched", Double, nullable=False),  # seconds since the epoch, like the following
    Column("expires", Double, nullable=False),
    Column("text", Text, nullable=False),
)
