"""Push subscriptions: webhooks with the keys of a browser, and the key of the server that browsers are told."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_IS_PUSH = sa.text("p256dh IS NOT NULL")


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("webhooks", sa.Column("p256dh", sa.Text))
    op.add_column("webhooks", sa.Column("auth", sa.Text))
    op.create_index(
        "ix_webhooks_pushes",
        "webhooks",
        ["account_id", "url"],
        unique=True,
        postgresql_where=_IS_PUSH,
        sqlite_where=_IS_PUSH,
    )
    op.create_table(
        "server_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("secret", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove them: browsers have to subscribe again."""
    op.drop_table("server_keys")
    op.execute("DELETE FROM webhook_deliveries WHERE webhook_id IN (SELECT id FROM webhooks WHERE p256dh IS NOT NULL)")
    op.execute("DELETE FROM webhooks WHERE p256dh IS NOT NULL")
    op.drop_index("ix_webhooks_pushes", "webhooks")
    op.drop_column("webhooks", "auth")
    op.drop_column("webhooks", "p256dh")
