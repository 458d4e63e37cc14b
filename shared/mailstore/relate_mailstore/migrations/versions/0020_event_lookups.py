"""Indexes of the event log, by which messages are found: Message-ID, sender, recipient, account."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Each has the events by which a message is found, because every entry costs a delivery.
INDEXES = {
    "header_message_id": "name IN ('received', 'appended')",
    "sender": "name IN ('received', 'refused')",
    "recipient": "name IN ('delivered', 'queued', 'refused')",
    "account_id": "name IN ('received', 'delivered', 'appended') AND account_id IS NOT NULL",
}


def upgrade() -> None:
    """Add them."""
    for column, condition in INDEXES.items():
        where = sa.text(condition)
        op.create_index(
            f"ix_message_events_{column}",
            "message_events",
            [column, "time"],
            postgresql_where=where,
            sqlite_where=where,
        )


def downgrade() -> None:
    """Drop them."""
    for column in INDEXES:
        op.drop_index(f"ix_message_events_{column}", "message_events")
