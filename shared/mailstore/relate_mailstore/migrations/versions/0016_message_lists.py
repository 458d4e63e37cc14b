"""Indexes for message lists: the messages of a thread, and the unread ones of a mailbox."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UNREAD = "flags & 1 = 0"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_messages_account_id_thread", "messages", ["account_id", "thread", "received", "id"])
    op.create_index(
        "ix_entries_unread",
        "entries",
        ["account_id", "mailbox_id", "message_id", "flags"],
        postgresql_where=sa.text(_UNREAD),
        sqlite_where=sa.text(_UNREAD),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_entries_unread", "entries")
    op.drop_index("ix_messages_account_id_thread", "messages")
