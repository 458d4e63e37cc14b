"""Addresses of users who were removed: their sessions end, and no other user is given the addresses for a time."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "removed_addresses",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("removed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked", sa.Boolean, nullable=False),
    )
    op.create_index("ix_removed_addresses_address", "removed_addresses", ["address"])
    op.create_index("ix_removed_addresses_removed", "removed_addresses", ["removed"])


def downgrade() -> None:
    """Forget them: every address may be given again."""
    op.drop_table("removed_addresses")
