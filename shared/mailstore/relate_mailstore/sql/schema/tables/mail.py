"""Mailboxes, messages and their texts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

from relate_mailstore.sql.schema.tables.metadata import Id, metadata

PART_OCTETS = 512 * 1024
"""Octets of one row of `blobs`. A reader holds two rows; they are large enough to make the cost per row small."""

IS_UNREAD = "flags & 1 = 0"
"""Whether a row of `entries` has no \\Seen; `ix_entries_unread` serves statements that repeat its condition."""

# AUTOINCREMENT: the id of a deleted mailbox is never assigned again, because a session may still hold it.
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
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
    Column("id", Id, Identity(), primary_key=True),
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
