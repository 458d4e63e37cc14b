"""The event log: what happened to each message. On PostgreSQL it is partitioned by day."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

DAYS = 8  # from today on, as many as the store's maintenance makes


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "message_events",
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("account_id", sa.BigInteger),
        sa.Column("message_id", sa.Uuid),
        sa.Column("header_message_id", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("span_id", sa.Text, nullable=False),
        postgresql_partition_by="RANGE (time)",
    )
    op.create_index("ix_message_events_message_id", "message_events", ["message_id"])
    op.create_index("ix_message_events_time", "message_events", ["time"])
    if op.get_context().dialect.name == "postgresql":
        op.execute("CREATE TABLE message_events_rest PARTITION OF message_events DEFAULT")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (today + timedelta(days=number) for number in range(DAYS)):
            since, until = day.timestamp(), (day + timedelta(days=1)).timestamp()
            name = f"message_events_{day:%Y%m%d}"
            op.execute(f"CREATE TABLE {name} PARTITION OF message_events FOR VALUES FROM ({since}) TO ({until})")


def downgrade() -> None:
    """Drop it, and with it the events."""
    op.drop_table("message_events")
