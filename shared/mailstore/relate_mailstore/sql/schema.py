"""The tables of mail. Revision 0002 of the migrations makes them; a test compares the two.

Rules: every row but a blob's carries its account, first in the keys, so that rows can be spread by account; no
foreign keys, since each delivery would pay for checking them; no index that no query needs, for the same reason.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

PART_OCTETS = 512 * 1024
"""Octets of one row of `blobs`. Readers hold two of them: large enough that a row's cost is small beside its copy."""

# SQLite numbers rows by itself only where the column is called INTEGER; it has 64 bits there too.
_Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

# AUTOINCREMENT: a mailbox id is never given twice, as others may still hold the id of one that is gone.
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
    Column("subscribed", Boolean, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name", name="uq_mailboxes_account_id_name"),
    sqlite_autoincrement=True,
)

# A raw message in parts of PART_OCTETS, the last one shorter. Written once, never updated, of no account.
blobs = Table(
    "blobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("octets", LargeBinary, nullable=False),
)

# The id comes first in the key: it is also asked whether any account still has a message.
messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),  # seconds since the epoch
    Column("attachments", Integer, nullable=False),
    Column("origin", Text),  # traceparent of the delivery
    Column("date", BigInteger),
    Column("subject", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("sender_address", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON: [To, Cc], each a list of [name, address]
    Column("preview", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("reference_ids", Text, nullable=False),  # JSON
    Column("envelope", LargeBinary, nullable=False),
    Column("bodystructure", LargeBinary, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: a list of `types.Part`, each a list of its fields
    Column("search", Text, nullable=False),  # sender, recipients, subject and preview with their case folded
    Index("ix_messages_account_id_received", "account_id", "received", "id"),
)

# Narrow: a change of flags rewrites the row.
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
    Index("ix_entries_message_id", "message_id", "account_id"),
    Index("ix_entries_mailbox_id_modseq", "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

# Who catches up by modseq learns here which entries are gone (RFC 7162 §3.2.7).
expunged = Table(
    "expunged",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("mailbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
