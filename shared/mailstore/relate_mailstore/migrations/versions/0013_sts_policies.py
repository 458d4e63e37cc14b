"""The MTA-STS policies of other domains."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "sts_policies",
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("fetched", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it; policies are fetched again."""
    op.drop_table("sts_policies")
