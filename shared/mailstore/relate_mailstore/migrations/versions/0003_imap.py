"""What IMAP asks for: subscriptions by name, SAVEDATE, \\Recent, threads, a horizon of tombstones, texts to search."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic import op

from relate_mailstore.identifiers import thread_id
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.summary_text import summary_text
from relate_mime import index_message

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 500  # messages whose headers are read again together

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_COLUMNS: dict[str, Sequence[sa.Column[Any]]] = {
    "mailboxes": (
        sa.Column("recent", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("horizon", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("changed", sa.Double, nullable=False, server_default="0"),
        sa.Column("origin", sa.Text),
    ),
    "messages": (
        sa.Column("header_octets", sa.Integer, nullable=False, server_default="0"),
        sa.Column("thread", sa.Text, nullable=False, server_default=""),
        sa.Column("zone", sa.Integer, nullable=False, server_default="0"),
    ),
    "entries": (sa.Column("saved", sa.BigInteger, nullable=False, server_default="0"),),
    "expunged": (sa.Column("removed", sa.BigInteger, nullable=False, server_default="0"),),
}

_MESSAGES = sa.table(
    "messages",
    sa.column("id", sa.Uuid()),
    sa.column("account_id", sa.BigInteger()),
    *(sa.column(name, sa.Text()) for name in ("parts", "preview", "recipients", "search", "thread")),
    *(sa.column(name, sa.Integer()) for name in ("header_octets", "zone")),
)
_BLOBS = sa.table(
    "blobs", sa.column("id", sa.Uuid()), sa.column("part", sa.Integer()), sa.column("octets", sa.LargeBinary())
)

# A row in `untexted` costs a delivery two microseconds this way, a statement of its own would cost fifty.
_NOTE_POSTGRESQL = (
    """
    CREATE FUNCTION note_untexted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO untexted (account_id, message_id) VALUES (NEW.account_id, NEW.id); RETURN NULL; END $$
    """,
    "CREATE TRIGGER note_untexted AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION note_untexted()",
)
_NOTE_SQLITE = (
    """
    CREATE TRIGGER note_untexted AFTER INSERT ON messages
    BEGIN INSERT INTO untexted (account_id, message_id) VALUES (NEW.account_id, NEW.id); END
    """,
)

# The account is part of the index, so that a search never looks at the candidates of others.
_TRIGRAMS_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE EXTENSION IF NOT EXISTS btree_gin",
    "CREATE INDEX ix_texts_trigrams ON texts USING gin (account_id, text gin_trgm_ops)",
)
# Without positions (detail=none): it only chooses candidates, and is half as large.
_TRIGRAMS_SQLITE = (
    """
    CREATE VIRTUAL TABLE texts_trigrams USING fts5(
        text, content='texts', content_rowid='id', detail=none, columnsize=0, tokenize='trigram case_sensitive 1'
    )
    """,
    """
    CREATE TRIGGER texts_added AFTER INSERT ON texts
    BEGIN INSERT INTO texts_trigrams (rowid, text) VALUES (NEW.id, NEW.text); END
    """,
    """
    CREATE TRIGGER texts_removed AFTER DELETE ON texts
    BEGIN INSERT INTO texts_trigrams (texts_trigrams, rowid, text) VALUES ('delete', OLD.id, OLD.text); END
    """,
)

_FORGET_POSTGRESQL = ("DROP TRIGGER note_untexted ON messages", "DROP FUNCTION note_untexted")
_FORGET_SQLITE = (
    "DROP TRIGGER note_untexted",
    "DROP TRIGGER IF EXISTS texts_added",
    "DROP TRIGGER IF EXISTS texts_removed",
    "DROP TABLE IF EXISTS texts_trigrams",
)

# Looked into by every search for what is in many messages: this is read three times as fast as what is the default,
# and twice as fast again where it lies in the row.
_FAST_TEXTS = (
    "ALTER TABLE texts SET (toast_tuple_target = 8160)",
    "ALTER TABLE texts ALTER COLUMN text SET COMPRESSION lz4",
)


def upgrade() -> None:
    """Make the tables and columns, and fill them from what is there."""
    _create_tables()
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    _fill()
    op.drop_column("mailboxes", "subscribed")
    postgresql = op.get_context().dialect.name == "postgresql"
    for statement in _NOTE_POSTGRESQL if postgresql else _NOTE_SQLITE:
        op.execute(statement)
    _try(_TRIGRAMS_POSTGRESQL if postgresql else _TRIGRAMS_SQLITE)
    for statement in _FAST_TEXTS if postgresql else ():
        _try((statement,))


def downgrade() -> None:
    """Drop them; whoever is subscribed to no mailbox that is there is forgotten."""
    postgresql = op.get_context().dialect.name == "postgresql"
    for statement in _FORGET_POSTGRESQL if postgresql else _FORGET_SQLITE:
        op.execute(statement)
    op.add_column("mailboxes", sa.Column("subscribed", sa.Boolean, nullable=False, server_default=sa.true()))
    op.execute(
        "UPDATE mailboxes SET subscribed = EXISTS (SELECT 1 FROM subscriptions AS s"
        " WHERE s.account_id = mailboxes.account_id AND s.name = mailboxes.name)"
    )
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
    for table in ("untexted", "texts", "subscriptions", "namespaces"):
        op.drop_table(table)


def _create_tables() -> None:
    op.create_table(
        "namespaces",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("uid_validity", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscriptions",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "texts",
        sa.Column("id", _ID, sa.Identity(), primary_key=True),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("body", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.UniqueConstraint("account_id", "message_id", name="uq_texts_account_id_message_id"),
    )
    op.create_table(
        "untexted",
        sa.Column("account_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("claimed", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )


def _fill() -> None:
    for statement in (
        "INSERT INTO namespaces SELECT account_id, max(uid_validity) FROM mailboxes GROUP BY account_id",
        "INSERT INTO subscriptions SELECT account_id, name FROM mailboxes WHERE subscribed",
        "INSERT INTO untexted (account_id, message_id) SELECT account_id, id FROM messages",
        "UPDATE entries SET saved = internal_date",
    ):
        op.execute(statement)
    op.execute(sa.text("UPDATE expunged SET removed = :now").bindparams(now=int(time.time())))
    _read_headers_again(op.get_bind())


def _read_headers_again(connection: sa.Connection) -> None:
    """Bcc, the other senders and the zone of the date were not kept."""
    keys = connection.execute(sa.select(_MESSAGES.c.id, _MESSAGES.c.account_id)).all()
    update = (
        sa.update(_MESSAGES)
        .where(_MESSAGES.c.id == sa.bindparam("of_id"), _MESSAGES.c.account_id == sa.bindparam("of_account"))
        .values({name: sa.bindparam(name) for name in ("recipients", "search", "header_octets", "thread", "zone")})
    )
    for start in range(0, len(keys), BATCH):
        rows = [_read_header_again(connection, row.id, row.account_id) for row in keys[start : start + BATCH]]
        connection.execute(update, rows)


def _read_header_again(connection: sa.Connection, message_id: Any, account_id: int) -> dict[str, Any]:
    message = connection.execute(
        sa.select(_MESSAGES.c.parts, _MESSAGES.c.preview).where(
            _MESSAGES.c.id == message_id, _MESSAGES.c.account_id == account_id
        )
    ).one()
    parts = json.loads(message.parts)
    header_octets = parts[0][2] if parts else 0
    octets = connection.scalar(
        sa.select(sa.func.substr(_BLOBS.c.octets, 1, header_octets, type_=sa.LargeBinary)).where(
            _BLOBS.c.id == message_id, _BLOBS.c.part == 0
        )
    )
    index = replace(index_message(octets or b""), preview=message.preview)
    return {
        "of_id": message_id,
        "of_account": account_id,
        "recipients": json.dumps([index.to, index.cc, index.bcc, index.senders]),
        "search": storable(summary_text(index)),
        "header_octets": header_octets,
        "thread": thread_id(index.references, index.header_message_id, message_id),
        "zone": index.zone,
    }


def _try(statements: Sequence[str]) -> None:
    """Where an extension is missing (or may not be made), there is no index, and a search looks at every text."""
    try:
        with op.get_bind().begin_nested():
            for statement in statements:
                op.execute(statement)
    except sa.exc.DBAPIError:
        return
