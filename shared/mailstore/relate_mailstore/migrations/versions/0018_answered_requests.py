"""The requests by which messages were sent, so that a repeated one does not send again."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "answered_requests",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key_hash", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("is_held", sa.Boolean, nullable=False),
        sa.Column("answered", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_answered_requests_answered", "answered_requests", ["answered"])


def downgrade() -> None:
    """Forget the requests: one that is repeated sends again."""
    op.drop_table("answered_requests")
