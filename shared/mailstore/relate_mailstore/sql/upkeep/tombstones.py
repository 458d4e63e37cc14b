"""Tombstones of expunged entries, for clients that resynchronise by modseq (RFC 7162 §3.2.7), and their trimming.

A mailbox's `horizon` is the modseq up to which tombstones may have been trimmed. No client can resynchronise from below
it.
"""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, select, update

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.schema.tables import expunged, mailboxes
from relate_mailstore.types import AccountId, MailboxId, ModSeq, Uid

MAX_AGE_SECONDS = 90 * 24 * 3600  # a client that was offline for longer compares all UIDs
MAX_TOMBSTONES = 100_000  # per mailbox: a client that missed more has less to read when it compares all UIDs

# One statement, so that horizon and tombstones come from the same snapshot.
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
_TOO_MANY = _BY_MAILBOX.having(func.count() > bindparam("limit"))
_NEWEST_EXCESS = (
    select(expunged.c.modseq)
    .where(expunged.c.account_id == bindparam("account_id"), expunged.c.mailbox_id == bindparam("mailbox_id"))
    .order_by(expunged.c.modseq.desc())
    .offset(bindparam("limit"))
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
    database: Database, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq
) -> Sequence[Uid] | None:
    """UIDs expunged after `modseq`, ascending; None if `modseq` is below the horizon. Raises MailboxNotFound."""
    parameters = {"account_id": account_id, "mailbox_id": mailbox_id, "modseq": modseq}
    rows = await database.fetch(_VANISHED, parameters)
    if not rows:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    if modseq < rows[0].horizon:
        return None
    return sorted(row.uid for row in rows if row.uid is not None)


async def trim(database: Database, transact: Transact) -> int:
    """Delete tombstones that are too old or too many, with one transaction per mailbox. Returns how many."""
    removed = 0
    for row in await database.fetch(_OLD, {"before": int(time.time()) - MAX_AGE_SECONDS}):
        removed += await transact(partial(_trim, row=row, horizon=row.horizon))
    for row in await database.fetch(_TOO_MANY, {"limit": MAX_TOMBSTONES}):
        key = {"account_id": row.account_id, "mailbox_id": row.mailbox_id, "limit": MAX_TOMBSTONES}
        for excess in await database.fetch(_NEWEST_EXCESS, key):
            removed += await transact(partial(_trim, row=row, horizon=excess.modseq))
    return removed


def _trim(connection: Connection, row: Row[tuple[int, int, int]], horizon: ModSeq) -> int:
    parameters = {"of_account": row.account_id, "of_mailbox": row.mailbox_id, "new_horizon": horizon}
    connection.execute(_RAISE_HORIZON, parameters)
    return connection.execute(_TRIM, parameters).rowcount
