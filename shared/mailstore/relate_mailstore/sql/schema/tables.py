"""The tables of mail. The migrations create them; a test compares the result with this metadata.

Rules: every row except a blob's has its account, first in the keys, so that rows can be sharded by account; no foreign
keys and no index that no query needs, because each delivery would pay for them. The triggers are in migration 0003
only (docs/architecture/mailstore.md).
"""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    Uuid,
    and_,
    false,
    literal_column,
    text,
)

from relate_mailstore.event_rules import (
    HEADS_BY_ACCOUNT,
    HEADS_BY_MESSAGE_ID,
    HEADS_BY_RECIPIENT,
    HEADS_BY_SENDER,
)
from relate_mailstore.event_types import EventName

PART_OCTETS = 512 * 1024
"""Octets of one row of `blobs`. A reader holds two rows; they are large enough to make the cost per row small."""

EVENTS_PARTITION_PREFIX = "message_events_"  # then the day, as YYYYMMDD
EVENTS_REST = "message_events_rest"  # the default partition


def is_one_of(names: Iterable[EventName]) -> TextClause:
    """The condition of an index of the event log, which a query has to have in the same words."""
    literals = ", ".join(f"'{name}'" for name in names)
    return text(f"name IN ({literals})")


def _found_by(column: str, names: Iterable[EventName]) -> Index:
    """An index of the event log by a column, of the events with these names that have a value, the newest last."""
    where = and_(is_one_of(names), literal_column(column).is_not(None)) if column == "account_id" else is_one_of(names)
    return Index(f"ix_message_events_{column}", column, "time", postgresql_where=where, sqlite_where=where)


# SQLite assigns ids only to a column of type INTEGER, which has 64 bits there too.
_Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

# AUTOINCREMENT: the id of a deleted mailbox is never assigned again, because a session may still hold it.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", _Id, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("uid_validity", BigInteger, nullable=False),
    Column("uid_next", BigInteger, nullable=False),
    Column("highest_modseq", BigInteger, nullable=False),
    Column("special_use", Text, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("recent", BigInteger, nullable=False),  # the first UID with the \Recent flag
    Column("horizon", BigInteger, nullable=False),  # the modseq up to which tombstones were trimmed
    Column("changed", Double, nullable=False),  # seconds since the epoch, of the last change
    Column("origin", Text),  # traceparent of the delivery in the last change
    UniqueConstraint("account_id", "name", name="uq_mailboxes_account_id_name"),
    sqlite_autoincrement=True,
)

# One row per account, locked first by transactions that create, delete or rename mailboxes.
namespaces = Table(
    "namespaces",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("uid_validity", BigInteger, nullable=False),  # the newest one; they only ascend
    sqlite_with_rowid=False,
)

# Names, of mailboxes that may not exist (RFC 9051 §6.3.7).
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# A raw message in parts of PART_OCTETS, the last one shorter. Never updated; shared by the accounts that have it.
blobs = Table(
    "blobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)

# The id is first in the key, because removing a message queries whether any other account has it.
messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),  # seconds since the epoch
    Column("attachments", Integer, nullable=False),
    Column("origin", Text),  # traceparent of the delivery
    Column("header_octets", Integer, nullable=False),  # of the raw message, up to its body
    Column("thread", Text, nullable=False),  # `identifiers.thread_id`
    Column("date", BigInteger),
    Column("zone", Integer, nullable=False),  # of the date: minutes east of Greenwich
    Column("subject", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("sender_address", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON: [To, Cc, Bcc, From], lists of [name, address]
    Column("preview", Text, nullable=False),
    Column("header_message_id", Text, nullable=False),
    Column("reference_ids", Text, nullable=False),  # JSON
    Column("envelope", LargeBinary, nullable=False),
    Column("bodystructure", LargeBinary, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: a list of `relate_mime.Part`, each a list of its fields
    Column("search", Text, nullable=False),  # `summary_text`
    Index("ix_messages_account_id_received", "account_id", "received", "id"),
    Index("ix_messages_account_id_thread", "account_id", "thread", "received", "id"),
)

IS_UNREAD = "flags & 1 = 0"
"""Whether a row of `entries` has no \\Seen; `ix_entries_unread` serves statements that repeat its condition."""

# Narrow, because a change of flags rewrites the row.
entries = Table(
    "entries",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", Uuid, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("keywords", Text, nullable=False),  # separated by spaces, in order
    Column("internal_date", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("saved", BigInteger, nullable=False),  # seconds since the epoch
    Index("ix_entries_message_id", "message_id", "account_id"),
    Index("ix_entries_mailbox_id_modseq", "mailbox_id", "modseq"),
    Index(
        "ix_entries_unread",
        *("account_id", "mailbox_id", "message_id", "flags"),  # flags, because SQLite would look up each row for them
        postgresql_where=text(IS_UNREAD),
        sqlite_where=text(IS_UNREAD),
    ),
    # Of the messages that have labels, which are few. Without the keywords, which may be too long for an index.
    Index(
        "ix_entries_labelled",
        "account_id",
        "mailbox_id",
        "uid",
        postgresql_where=text("keywords <> ''"),
        sqlite_where=text("keywords <> ''"),
    ),
    sqlite_with_rowid=False,
)

# Tombstones of expunged entries, for clients that resynchronise by modseq (RFC 7162 §3.2.7).
expunged = Table(
    "expunged",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("removed", BigInteger, nullable=False),  # seconds since the epoch
    sqlite_with_rowid=False,
)

# The searched text: `body` characters of body, then the header. The migration creates an index of trigrams.
texts = Table(
    "texts",
    metadata,
    Column("id", _Id, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("body", Integer, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("account_id", "message_id", name="uq_texts_account_id_message_id"),
)

# Messages that need a search text: a trigger adds each new one, migrations added the older ones.
untexted = Table(
    "untexted",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", Uuid, primary_key=True),
    Column("claimed", BigInteger, nullable=False, server_default="0"),  # seconds since the epoch, by its maker
    Column("outdated", Boolean, nullable=False, server_default=false()),  # `messages.search` must be made again too
    Column("failed", Text),  # why no text can be made; not retried
    sqlite_with_rowid=False,
)

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
    Column("id", _Id, Identity(), primary_key=True),
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

# What happened to messages, appended by the transactions that it tells of. On PostgreSQL partitioned by day. Without a
# key, and with two indexes of all rows, because each delivery adds several: both only ever grow at their end. Messages
# are found by indexes of few of their events.
message_events = Table(
    "message_events",
    metadata,
    Column("time", Double, nullable=False),  # seconds since the epoch
    Column("name", Text, nullable=False),  # `EventName`
    Column("account_id", BigInteger),
    Column("message_id", Uuid),
    Column("header_message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),  # in clear or as a hash, like the recipient
    Column("recipient", Text, nullable=False),
    Column("client", Text, nullable=False),  # an IP address
    Column("service", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Index("ix_message_events_message_id", "message_id"),
    Index("ix_message_events_time", "time"),
    # Of few rows: the messages about which other servers may report. Strangers decide how often it is read.
    Index(
        "ix_message_events_queued",
        "header_message_id",
        postgresql_where=text("name = 'queued'"),
        sqlite_where=text("name = 'queued'"),
    ),
    _found_by("header_message_id", HEADS_BY_MESSAGE_ID),
    _found_by("sender", HEADS_BY_SENDER),
    _found_by("recipient", HEADS_BY_RECIPIENT),
    _found_by("account_id", HEADS_BY_ACCOUNT),
    postgresql_partition_by="RANGE (time)",
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

# Names, colours and order of keywords. The id is derived from the keyword (`label_rules.label_id`).
labels = Table(
    "labels",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, primary_key=True),
    Column("keyword", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),  # `label_rules.name_key`
    Column("color", Text, nullable=False),  # #rrggbb
    Column("sort_order", Integer, nullable=False),
    UniqueConstraint("account_id", "name_key", name="uq_labels_account_id_name_key"),
    sqlite_with_rowid=False,
)

# What users want done with their mail at delivery. The conditions are texts as typed, "" or NULL for none.
filters = Table(
    "filters",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("priority", Integer, nullable=False),  # the lowest acts first
    Column("is_enabled", Boolean, nullable=False),
    Column("from_address", Text, nullable=False),
    Column("to_address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("has_attachments", Boolean),
    Column("larger", BigInteger),  # octets
    Column("mark_read", Boolean, nullable=False),
    Column("label_id", Uuid),  # of a label that may have been removed
    Column("mailbox", Text, nullable=False),  # the name, of a mailbox that may have been removed
    Column("moves_to_trash", Boolean, nullable=False),
    Column("stop", Boolean, nullable=False),
    Column("times_applied", BigInteger, nullable=False),
    Column("last_applied", Double),  # seconds since the epoch
    sqlite_with_rowid=False,
)

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
    Column("id", _Id, Identity(), primary_key=True),
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
