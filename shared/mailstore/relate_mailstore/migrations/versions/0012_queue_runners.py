"""Relays that run, and destinations that they have suspended: leases end with their runner, and not by the clock."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A runner of the version before is not known by a row: its leases end when they would have ended.
_LEASED = "UPDATE queue_recipients SET state = 'queued', requested = '' WHERE state = 'leased'"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "queue_runners",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "queue_destinations",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("suspended_until", sa.Double, nullable=False),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
    )
    op.execute(_LEASED)


def downgrade() -> None:
    """Drop them; what is leased is due."""
    op.execute("UPDATE queue_recipients SET due = 0 WHERE state = 'leased'")
    for table in ("queue_destinations", "queue_runners"):
        op.drop_table(table)
