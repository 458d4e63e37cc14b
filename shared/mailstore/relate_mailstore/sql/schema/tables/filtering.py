"""Labels and filters."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, Table, Text, UniqueConstraint, Uuid

from relate_mailstore.sql.schema.tables.metadata import metadata

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
