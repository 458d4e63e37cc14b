"""Searches compare text by NFKC_Casefold: texts that were made before are marked, and made again in the background.

Only rows are marked, whatever the number of messages: reading the mail again is for upkeep, and for the first search
that needs it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Mark every message."""
    outdated = sa.Column("outdated", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("untexted", outdated)
    op.add_column("untexted", sa.Column("failed", sa.Text))
    op.execute("UPDATE untexted SET outdated = true")
    # Of the entries, as their rows are small, and SQLite reads nothing but an index of them.
    op.execute(
        "INSERT INTO untexted (account_id, message_id, outdated)"
        " SELECT DISTINCT account_id, message_id, true FROM entries WHERE true ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    """Forget the marks; the texts stay as they are."""
    op.execute(
        "DELETE FROM untexted WHERE EXISTS (SELECT 1 FROM texts"
        " WHERE texts.account_id = untexted.account_id AND texts.message_id = untexted.message_id)"
    )
    for name in ("outdated", "failed"):
        op.drop_column("untexted", name)
