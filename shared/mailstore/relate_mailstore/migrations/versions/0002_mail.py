"""Mail: mailboxes, raw messages, their index, the entries of messages in mailboxes, and who is expunged."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite numbers rows by itself only where the column is called INTEGER; it has 64 bits there too.
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_STORAGE = (
    # Each delivery rewrites a row of mailboxes: with room on its page, the new version touches no index.
    "ALTER TABLE mailboxes SET (fillfactor = 50)",
    # A raw message is stored as it is (compressing costs more than the rest of a delivery), and in its row if it fits.
    "ALTER TABLE blobs ALTER COLUMN octets SET STORAGE EXTERNAL",
    "ALTER TABLE blobs SET (toast_tuple_target = 8160)",
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "mailboxes",
        sa.Column("id", _ID, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("uid_validity", sa.BigInteger, nullable=False),
        sa.Column("uid_next", sa.BigInteger, nullable=False),
        sa.Column("highest_modseq", sa.BigInteger, nullable=False),
        sa.Column("special_use", sa.Text, nullable=False),
        sa.Column("subscribed", sa.Boolean, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account_id", "name", name="uq_mailboxes_account_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "blobs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("attachments", sa.Integer, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("date", sa.BigInteger),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sender_name", sa.Text, nullable=False),
        sa.Column("sender_address", sa.Text, nullable=False),
        sa.Column("recipients", sa.Text, nullable=False),
        sa.Column("preview", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("reference_ids", sa.Text, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("bodystructure", sa.LargeBinary, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
    )
    op.create_index("ix_messages_account_id_received", "messages", ["account_id", "received", "id"])
    op.create_table(
        "entries",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mailbox_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("flags", sa.SmallInteger, nullable=False),
        sa.Column("keywords", sa.Text, nullable=False),
        sa.Column("internal_date", sa.BigInteger, nullable=False),
        sa.Column("modseq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entries_message_id", "entries", ["message_id", "account_id"])
    op.create_index("ix_entries_mailbox_id_modseq", "entries", ["mailbox_id", "modseq"])
    op.create_table(
        "expunged",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mailbox_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("modseq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        for statement in _STORAGE:
            op.execute(statement)


def downgrade() -> None:
    """Drop them, and with them all mail."""
    for table in ("expunged", "entries", "messages", "blobs", "mailboxes"):
        op.drop_table(table)
