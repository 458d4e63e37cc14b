"""What became of outgoing mail, for the accounts that a client follows; webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_IS_DUE = sa.text("due IS NOT NULL")
_IS_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "followed_accounts",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("horizon", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outcomes",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("message_id", sa.Uuid),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("span_id", sa.Text, nullable=False),
        sa.Index("ix_outcomes_time", "time"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", _Id, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous_secret", sa.Text, nullable=False),
        sa.Column("previous_until", sa.Double, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("due", sa.Double),
        sa.Index("ix_webhooks_account_id", "account_id"),
        sa.Index("ix_webhooks_due", "due", postgresql_where=_IS_DUE, sqlite_where=_IS_DUE),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("webhook_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("attempted", sa.Double),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.Index("ix_webhook_deliveries_id", "id"),
        sa.Index(
            "ix_webhook_deliveries_pending",
            "webhook_id",
            "number",
            postgresql_where=_IS_PENDING,
            sqlite_where=_IS_PENDING,
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove them: clients reload, and webhooks have to be made again."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.drop_table("outcomes")
    op.drop_table("followed_accounts")
