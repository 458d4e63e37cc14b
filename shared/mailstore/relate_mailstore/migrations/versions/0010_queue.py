"""Outgoing mail: messages and their recipients that wait for another server."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_IS_DUE = sa.text("due IS NOT NULL")

# Each attempt rewrites a row twice: with room on its page, a version with the same `due` touches no index.
_STORAGE = "ALTER TABLE queue_recipients SET (fillfactor = 80)"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "queue_messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("ret", sa.Text, nullable=False),
        sa.Column("envid", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("is_8bit", sa.Boolean, nullable=False),
        sa.Column("is_utf8", sa.Boolean, nullable=False),
        sa.Column("header_message_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("unfinished", sa.Integer, nullable=False),
    )
    op.create_table(
        "queue_recipients",
        sa.Column("id", _ID, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("notify", sa.Text, nullable=False),
        sa.Column("orcpt", sa.Text, nullable=False),
        sa.Column("arrived", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("runner", sa.Text, nullable=False),
        sa.Column("requested", sa.Text, nullable=False),
        sa.Column("delay_told", sa.Boolean, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_recipients_message_id", "queue_recipients", ["message_id"])
    op.create_index(
        "ix_queue_recipients_domain_due",
        "queue_recipients",
        ["domain", "due"],
        postgresql_where=_IS_DUE,
        sqlite_where=_IS_DUE,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(_STORAGE)


def downgrade() -> None:
    """Drop them, and with them all outgoing mail."""
    for table in ("queue_recipients", "queue_messages"):
        op.drop_table(table)
