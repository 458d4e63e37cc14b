"""What is gone from a mailbox, for clients that catch up by modseq (RFC 7162 §3.2.7): kept for a while, then trimmed.

`horizon` of a mailbox is the modseq up to which its tombstones may be gone: below it nobody can be told.
"""

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, select

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.database import Database
from relate_mailstore.sql.schema import expunged, mailboxes
from relate_mailstore.types import AccountId, MailboxId

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
