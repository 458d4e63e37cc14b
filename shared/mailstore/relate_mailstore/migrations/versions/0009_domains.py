"""Domains that an administrator named, local also while no user has an address in them, and their public DKIM keys."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "domains",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("added", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "domain_keys",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("selector", sa.Text, primary_key=True),
        sa.Column("records", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Forget them: a domain is local if a user has an address in it, and mail is not signed."""
    op.drop_table("domain_keys")
    op.drop_table("domains")
