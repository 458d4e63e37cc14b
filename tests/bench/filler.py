"""Fills an INBOX with a large number of messages, by SQL that multiplies some delivered ones.

Each transaction leaves a mailbox as deliveries would: UIDs, modseqs, counts, octets, rows of messages and blobs. Only
the search texts are missing: they are marked as failed, so that no process makes them.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.tables import blobs, entries, mailboxes, messages
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import INBOX, AccountId, Delivery, Destination, Flag

TEMPLATES = 10  # one of them is unseen, and so is a tenth of the mailbox
CHUNK_MESSAGES = 20_000  # of one transaction
FIRST_DATE_SECONDS = 1_600_000_000  # of the first message; each further one is a minute later

# Unique, and ascending like the ids of deliveries.
_NEW_ID = {
    SQLITE: "printf('%016x%016x', :account, n.uid)",
    POSTGRESQL: "CAST(lpad(to_hex(CAST(:account AS bigint)), 16, '0') || lpad(to_hex(n.uid), 16, '0') AS uuid)",
}
_DATE = f"{FIRST_DATE_SECONDS} + n.uid * 60"
# The template of a UID, as `e`, and the UIDs of a chunk, as `n`.
_COPY = """
    INSERT INTO {table} ({columns})
    WITH RECURSIVE n(uid) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT uid + 1 FROM n WHERE uid < :last)
    SELECT {values}
    FROM n
    JOIN entries AS e
        ON e.account_id = :account AND e.mailbox_id = :mailbox AND e.uid = (n.uid - 1) % {templates} + 1
    JOIN {table} AS t ON {join}
"""
_OF_CHUNK = "account_id = :account AND mailbox_id = :mailbox AND uid BETWEEN :first AND :last"
_SKIP_TEXTS = f"""
    UPDATE untexted SET failed = 'filled by SQL'
    WHERE account_id = :account AND message_id IN (SELECT message_id FROM entries WHERE {_OF_CHUNK})
"""
_ADVANCE = f"""
    UPDATE mailboxes SET uid_next = CAST(:last AS bigint) + 1, highest_modseq = CAST(:modseq AS bigint) + :last,
        messages = messages + CAST(:last AS bigint) - :first + 1,
        octets = octets + (SELECT CAST(sum(size) AS bigint) FROM entries WHERE {_OF_CHUNK})
    WHERE account_id = :account AND id = :mailbox
"""


async def fill_mailbox(url: str, account_id: AccountId, count: int) -> None:
    """Fill the empty INBOX of an account with `count` messages, at least TEMPLATES. No server may be running."""
    engine = open_engine(url)
    try:
        await _deliver_templates(engine, account_id)
        for first in range(TEMPLATES + 1, count + 1, CHUNK_MESSAGES):
            last = min(first + CHUNK_MESSAGES - 1, count)
            async with engine.begin() as connection:
                await connection.run_sync(_fill_chunk, account_id, first, last)
        await _tidy(engine)
    finally:
        await engine.dispose()


async def _deliver_templates(engine: AsyncEngine, account_id: AccountId) -> None:
    async with open_store(engine) as store:
        for number in range(TEMPLATES):
            destination = Destination(account_id, flags=Flag.SEEN if number else 0)
            await store.deliver(Delivery(_template(number), (destination,), FIRST_DATE_SECONDS + number * 60))


def _template(number: int) -> bytes:
    """A message of some 600 to 1,100 octets."""
    return (
        f"Received: from sender.example by mx.example.test; Sun, 13 Sep 2020 12:26:{number:02} +0000\r\n"
        f"Message-ID: <{number}@sender.example>\r\nDate: Sun, 13 Sep 2020 12:26:{number:02} +0000\r\n"
        f"From: Sender {number} <sender{number}@sender.example>\r\nTo: user@example.test\r\n"
        f"Subject: The report of week {number}\r\n\r\n"
        + "A line of a report, which many readers skip.\r\n"
        * (number + 5)
    ).encode()


def _fill_chunk(connection: Connection, account_id: AccountId, first: int, last: int) -> None:
    """Add the messages with these UIDs, each with a modseq of its own."""
    mailbox = connection.execute(
        select(mailboxes.c.id, mailboxes.c.uid_next, mailboxes.c.highest_modseq).where(
            mailboxes.c.account_id == account_id, mailboxes.c.name == INBOX
        )
    ).one()
    chunk = {"account": account_id, "mailbox": mailbox.id, "first": first, "last": last}
    modseq = mailbox.highest_modseq - mailbox.uid_next + 1
    new_id = _NEW_ID[connection.dialect.name]
    same_message = "t.id = e.message_id"
    same_entry = "t.account_id = e.account_id AND t.mailbox_id = e.mailbox_id AND t.uid = e.uid"
    entry = {"uid": "n.uid", "message_id": new_id, "internal_date": _DATE, "modseq": f"{modseq} + n.uid"}
    _copy(connection, blobs, same_message, {"id": new_id}, chunk)
    _copy(
        connection,
        messages,
        f"{same_message} AND t.account_id = e.account_id",
        {"id": new_id, "received": _DATE},
        chunk,
    )
    _copy(connection, entries, same_entry, entry, chunk)
    connection.execute(text(_SKIP_TEXTS), chunk)
    connection.execute(text(_ADVANCE), {**chunk, "modseq": modseq})


def _copy(
    connection: Connection, table: Table, join: str, changed: Mapping[str, str], chunk: Mapping[str, object]
) -> None:
    """Copy the templates' rows of a table, with the changed columns as expressions."""
    names = [column.name for column in table.columns]
    statement = _COPY.format(
        table=table.name,
        columns=", ".join(names),
        values=", ".join(changed.get(name, f"t.{name}") for name in names),
        templates=TEMPLATES,
        join=join,
    )
    connection.execute(text(statement), chunk)


async def _tidy(engine: AsyncEngine) -> None:
    """Collect PostgreSQL's statistics, as its autovacuum would some time later, beside the measurements."""
    if engine.dialect.name == POSTGRESQL:
        async with engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
