"""What changed in a mailbox since a client was told last (`LiveStore`), by pages that a client reads at its own speed.

Each page is one statement on an index, and nothing is cached: a client that only follows a mailbox does not load it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Uuid, and_, bindparam, literal, null, or_, select, true, type_coerce
from sqlalchemy import union_all as union

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.live_types import END_UID, ChangeSpan, MailboxChange
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.schema.rows import unpack_keywords
from relate_mailstore.sql.schema.tables import entries, expunged, mailboxes
from relate_mailstore.types import AccountId, MailboxId, MessageId, ModSeq, Uid


def _of_mailbox(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.account_id == bindparam("account_id"), table.c.mailbox_id == bindparam("mailbox_id"))


def _in_span(table: FromClause) -> ColumnElement[bool]:
    modseq, uid = table.c.modseq, table.c.uid
    return and_(
        _of_mailbox(table),
        modseq >= bindparam("modseq"),
        modseq <= bindparam("until"),
        uid < bindparam("before"),
        or_(modseq > bindparam("modseq"), uid > bindparam("uid")),
    )


_ARRIVED = (
    select(entries.c.modseq, entries.c.uid, entries.c.message_id, entries.c.flags, entries.c.keywords)
    .where(_of_mailbox(entries), entries.c.uid >= bindparam("since"), entries.c.uid < bindparam("before"))
    .order_by(entries.c.uid)
    .limit(bindparam("most"))
)
_CHANGED = select(entries.c.modseq, entries.c.uid, entries.c.message_id, entries.c.flags, entries.c.keywords).where(
    _in_span(entries)
)
_GONE = select(
    expunged.c.modseq, expunged.c.uid, type_coerce(null(), Uuid).label("message_id"), literal(0), literal("")
).where(_in_span(expunged))
_SPAN = union(_CHANGED, _GONE).order_by("modseq", "uid").limit(bindparam("most")).subquery()
# One statement, so that horizon and tombstones come from the same snapshot. Without changes there is one row.
_CHANGES = (
    select(mailboxes.c.horizon, *_SPAN.c)
    .select_from(mailboxes.outerjoin(_SPAN, true()))
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id"))
    .order_by(_SPAN.c.modseq, _SPAN.c.uid)
)


async def arrived(
    database: Database, account_id: AccountId, mailbox_id: MailboxId, since: Uid, before: Uid, *, limit: int
) -> Sequence[MailboxChange]:
    """See `LiveStore.arrived`."""
    key = {"account_id": account_id, "mailbox_id": mailbox_id}
    rows = await database.fetch(_ARRIVED, {**key, "since": since, "before": before, "most": limit})
    return [*map(_parse, rows)]


async def changes(
    database: Database, account_id: AccountId, mailbox_id: MailboxId, span: ChangeSpan, limit: int
) -> Sequence[MailboxChange] | None:
    """See `LiveStore.changes`. A position within the changes of one modseq needs those of that modseq too."""
    key = {"account_id": account_id, "mailbox_id": mailbox_id}
    rows = await database.fetch(_CHANGES, {**key, **span._asdict(), "most": limit})
    if not rows:
        raise MailboxNotFound(f"mailbox {mailbox_id} of account {account_id}")
    needed = span.modseq if span.uid >= END_UID else span.modseq - 1
    if needed < rows[0].horizon:
        return None
    return [_parse(row) for row in rows if row.uid is not None]


def _parse(row: Any) -> MailboxChange:
    message_id = None if row.message_id is None else MessageId(row.message_id)
    return MailboxChange(ModSeq(row.modseq), Uid(row.uid), message_id, row.flags, unpack_keywords(row.keywords))
