"""Users can be disabled; what was revoked of late is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the column, and the indexes of the few rows that have such a time."""
    op.add_column("users", sa.Column("disabled", _MOMENT))
    for table, column in (("api_keys", "revoked"), ("users", "disabled")):
        present = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=present, postgresql_where=present)


def downgrade() -> None:
    """Users that were disabled can log in again."""
    op.drop_index("ix_users_disabled", "users")
    op.drop_index("ix_api_keys_revoked", "api_keys")
    op.drop_column("users", "disabled")
