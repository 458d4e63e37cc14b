"""The transaction that tells the owner of an account, once in a period, that mail is held."""

from sqlalchemy import Connection

from relate_mailstore.errors import StoreError
from relate_mailstore.queue_types import SendingLimit
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.write.deliver import lock_targets, plan_batch, store_plan
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mailstore.sql.write.sending import tell
from relate_mailstore.types import AccountId


def enter_once(  # noqa: PLR0917 - what it composes
    connection: Connection,
    account_id: AccountId,
    limit: SendingLimit,
    notice: QueuedDelivery,
    writer: EventWriter,
    now: float,
) -> Committed[bool]:
    """Enter the notice, unless one was entered in this period. Raises MailboxNotFound."""
    locked = lock_targets(connection, [notice])  # mailboxes are locked before the row of the count
    if not tell(connection, account_id, limit, now):
        return Committed(False, ())
    plan = plan_batch([notice], locked, now)
    for result in plan.results:
        if isinstance(result, StoreError):
            raise result
    store_plan(connection, plan, now)
    return Committed(True, plan.dirty_deltas, announced=writer.add(connection, plan.events))
