"""The suppression list, and an index of the messages that were queued, for reports of other servers about them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_IS_QUEUED = sa.text("name = 'queued'")


def upgrade() -> None:
    """Add both."""
    op.create_table(
        "suppressions",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("added", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_message_events_queued",
        "message_events",
        ["header_message_id"],
        postgresql_where=_IS_QUEUED,
        sqlite_where=_IS_QUEUED,
    )


def downgrade() -> None:
    """Send to all addresses again."""
    op.drop_index("ix_message_events_queued", "message_events")
    op.drop_table("suppressions")
