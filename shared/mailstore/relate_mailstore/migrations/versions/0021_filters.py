"""Labels and filters, and an index of the messages that have keywords."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_IS_LABELLED = sa.text("keywords <> ''")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "labels",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("keyword", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("color", sa.Text, nullable=False),
        sa.Column("sort_order", sa.Integer, nullable=False),
        sa.UniqueConstraint("account_id", "name_key", name="uq_labels_account_id_name_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "filters",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("from_address", sa.Text, nullable=False),
        sa.Column("to_address", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("has_attachments", sa.Boolean),
        sa.Column("larger", sa.BigInteger),
        sa.Column("mark_read", sa.Boolean, nullable=False),
        sa.Column("label_id", sa.Uuid),
        sa.Column("mailbox", sa.Text, nullable=False),
        sa.Column("moves_to_trash", sa.Boolean, nullable=False),
        sa.Column("stop", sa.Boolean, nullable=False),
        sa.Column("times_applied", sa.BigInteger, nullable=False),
        sa.Column("last_applied", sa.Double),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_entries_labelled",
        "entries",
        ["account_id", "mailbox_id", "uid"],
        postgresql_where=_IS_LABELLED,
        sqlite_where=_IS_LABELLED,
    )


def downgrade() -> None:
    """Labels lose their names and colours; filters are lost."""
    op.drop_index("ix_entries_labelled", "entries")
    op.drop_table("filters")
    op.drop_table("labels")
