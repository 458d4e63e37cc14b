"""Rename `messages.message_id` to `header_message_id`: it is the Message-ID field, elsewhere `message_id` is a UUID.

Metadata only, whatever the number of messages. No index, trigger or function mentions the column: `note_untexted`
inserts into `untexted.message_id`, which keeps its name.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rename the column."""
    op.execute("ALTER TABLE messages RENAME COLUMN message_id TO header_message_id")


def downgrade() -> None:
    """Rename it back."""
    op.execute("ALTER TABLE messages RENAME COLUMN header_message_id TO message_id")
