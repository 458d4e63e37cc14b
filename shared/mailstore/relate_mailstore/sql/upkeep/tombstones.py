"""What is gone from a mailbox, for clients that catch up by modseq (RFC 7162 §3.2.7): kept for a while, then trimmed.

`horizon` of a mailbox is the modseq up to which its tombstones may be gone: below it nobody can be told.
"""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, select, update

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.tables import expunged, mailboxes
from relate_mailstore.types import AccountId, MailboxId

KEPT_SECONDS = 90 * 24 * 3600  # a client that was away for longer compares all UIDs
KEPT_TOMBSTONES = 100_000  # of a mailbox: a client that missed more reads less by comparing

# One statement, so that horizon and tombstones are of one moment.
_VANISHED = (
    select(mailboxes.c.horizon, expunged.c.uid)
    .select_from(
        mailboxes.outerjoin(
            expunged,
            and_(
                expunged.c.account_id == mailboxes.c.account_id,
                expunged.c.mailbox_id == mailboxes.c.id,
                expunged.c.modseq > bindparam("modseq"),
            ),
        )
    )
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id"))
)
_BY_MAILBOX = select(
    expunged.c.account_id, expunged.c.mailbox_id, func.max(expunged.c.modseq).label("horizon")
).group_by(expunged.c.account_id, expunged.c.mailbox_id)
_OLD = _BY_MAILBOX.where(expunged.c.removed < bindparam("before"))
_MANY = _BY_MAILBOX.having(func.count() > bindparam("kept"))
_LAST_BEYOND = (
    select(expunged.c.modseq)
    .where(expunged.c.account_id == bindparam("account_id"), expunged.c.mailbox_id == bindparam("mailbox_id"))
    .order_by(expunged.c.modseq.desc())
    .offset(bindparam("kept"))
    .limit(1)
)
_RAISE_HORIZON = (
    update(mailboxes)
    .where(
        mailboxes.c.account_id == bindparam("of_account"),
        mailboxes.c.id == bindparam("of_mailbox"),
        mailboxes.c.horizon < bindparam("new_horizon"),
    )
    .values(horizon=bindparam("new_horizon"))
)
_TRIM = delete(expunged).where(
    expunged.c.account_id == bindparam("of_account"),
    expunged.c.mailbox_id == bindparam("of_mailbox"),
    expunged.c.modseq <= bindparam("new_horizon"),
)


async def vanished(
    database: Database, account_id: AccountId, mailbox_id: MailboxId, modseq: int
) -> Sequence[int] | None:
    """UIDs expunged after `modseq`, ascending; None below the horizon. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id, "modseq": modseq}
    rows = await database.fetch(_VANISHED, parameters)
    if not rows:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    if modseq < rows[0].horizon:
        return None
    return sorted(row.uid for row in rows if row.uid is not None)


async def trim(database: Database) -> int:
    """Remove the tombstones that are too old or too many; how many rows. A transaction a mailbox."""
    removed = 0
    for row in await database.fetch(_OLD, {"before": int(time.time()) - KEPT_SECONDS}):
        removed += await database.transact(partial(_trim, row=row, horizon=row.horizon))
    for row in await database.fetch(_MANY, {"kept": KEPT_TOMBSTONES}):
        key = {"account_id": row.account_id, "mailbox_id": row.mailbox_id, "kept": KEPT_TOMBSTONES}
        for beyond in await database.fetch(_LAST_BEYOND, key):
            removed += await database.transact(partial(_trim, row=row, horizon=beyond.modseq))
    return removed


def _trim(connection: Connection, row: Row[tuple[int, int, int]], horizon: int) -> int:
    parameters = {"of_account": row.account_id, "of_mailbox": row.mailbox_id, "new_horizon": horizon}
    connection.execute(_RAISE_HORIZON, parameters)
    return connection.execute(_TRIM, parameters).rowcount
