"""What became of outgoing mail, numbered by account, for clients that resume (`LiveStore`).

An outcome is stored in the transaction that ends the way of the message, only for accounts that a client has followed.
The account's row is locked until the commit: a later number never becomes visible before an earlier one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.live_types import NO_MAILBOX, OUTCOMES, Outcome
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import insert_once, numbers, one_of
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import followed_accounts, outcomes
from relate_mailstore.types import AccountId, MailboxNotice, MessageId, ModSeq

RETENTION_SECONDS = 30 * 24 * 3600  # a client that was away for longer reloads

_LOCK = (
    select(followed_accounts.c.account_id, followed_accounts.c.last_number)
    .where(one_of(followed_accounts.c.account_id, numbers("accounts")))
    .order_by(followed_accounts.c.account_id)
    .with_for_update()
)
_ADVANCE = (
    update(followed_accounts)
    .where(followed_accounts.c.account_id == bindparam("of_account"))
    .values(last_number=bindparam("new_number"))
)
_ADD = insert(outcomes)
_STATE = select(followed_accounts.c.last_number, followed_accounts.c.horizon).where(
    followed_accounts.c.account_id == bindparam("account_id")
)
_FOLLOW = insert_once(followed_accounts, "account_id")
_PAGE = (
    select(outcomes)
    .where(outcomes.c.account_id == bindparam("account_id"), outcomes.c.number > bindparam("after"))
    .order_by(outcomes.c.number)
    .limit(bindparam("most"))
)
_FORGET = (
    delete(outcomes).where(outcomes.c.account_id == bindparam("account_id")),
    delete(followed_accounts).where(followed_accounts.c.account_id == bindparam("account_id")),
)
_OLD = (
    select(outcomes.c.account_id, func.max(outcomes.c.number).label("number"))
    .where(outcomes.c.time < bindparam("before"))
    .group_by(outcomes.c.account_id)
)
_RAISE_HORIZON = (
    update(followed_accounts)
    .where(
        followed_accounts.c.account_id == bindparam("of_account"),
        followed_accounts.c.horizon < bindparam("new_horizon"),
    )
    .values(horizon=bindparam("new_horizon"))
)
_TRIM = delete(outcomes).where(
    outcomes.c.account_id == bindparam("of_account"), outcomes.c.number <= bindparam("new_horizon")
)


def add_outcomes(connection: Connection, events: Sequence[Event]) -> Sequence[MailboxNotice]:
    """Store those of a transaction's events that are outcomes of followed accounts; their notices.

    No statement without outcomes; one, of one index, without followed accounts.
    """
    ended = [event for event in events if event.name in OUTCOMES and event.account_id is not None]
    if not ended:
        return ()
    locked = run(connection, _LOCK, {"accounts": {event.account_id for event in ended}})
    last = {AccountId(row.account_id): int(row.last_number) for row in locked}
    rows, notices = list[dict[str, object]](), dict[AccountId, MailboxNotice]()
    for event in ended:
        account_id = event.account_id
        if account_id is None or account_id not in last:
            continue
        last[account_id] += 1
        outcome = _outcome(event, last[account_id])
        rows.append({"account_id": account_id, **outcome._asdict(), "name": outcome.name.value})
        notices[account_id] = MailboxNotice(account_id, NO_MAILBOX, ModSeq(outcome.number))
    if rows:
        run_many(connection, _ADD, rows)
        advanced = [{"of_account": account_id, "new_number": notice.modseq} for account_id, notice in notices.items()]
        run_many(connection, _ADVANCE, advanced)
    return [*notices.values()]


class SqlOutcomes:
    """The outcomes of followed accounts. `clock` returns seconds since the epoch."""

    def __init__(self, database: Database, transact: Transact, clock: Callable[[], float]) -> None:
        self._database = database
        self._transact = transact
        self._clock = clock

    async def follow(self, account_id: AccountId) -> int:
        """See `LiveStore.follow_outcomes`."""
        for state in await self._database.fetch(_STATE, {"account_id": account_id}):
            return int(state.last_number)
        return await self._transact(partial(_follow, account_id=account_id))

    async def page(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """See `LiveStore.outcomes`. The state is read last, so that no trimming goes unnoticed."""
        rows = await self._database.fetch(_PAGE, {"account_id": account_id, "after": after, "most": limit})
        for state in await self._database.fetch(_STATE, {"account_id": account_id}):
            return [*map(_parse, rows)] if state.horizon <= after <= state.last_number else None
        return None

    async def forget(self, account_id: AccountId) -> None:
        """See `LiveStore.forget_subscribers`."""
        await self._transact(partial(_forget, account_id=account_id))

    async def trim(self) -> int:
        """Remove the outcomes that are older than RETENTION_SECONDS; how many."""
        removed = 0
        for row in await self._database.fetch(_OLD, {"before": self._clock() - RETENTION_SECONDS}):
            removed += await self._transact(partial(_trim, account_id=row.account_id, horizon=row.number))
        return removed


def _follow(connection: Connection, account_id: AccountId) -> int:
    first = {"account_id": account_id, "last_number": 0, "horizon": 0}
    run_many(connection, _FOLLOW[connection.dialect.name], [first])
    (state,) = run(connection, _STATE, {"account_id": account_id})
    return int(state.last_number)


def _forget(connection: Connection, account_id: AccountId) -> None:
    for statement in _FORGET:
        run(connection, statement, {"account_id": account_id})


def _trim(connection: Connection, account_id: AccountId, horizon: int) -> int:
    parameters = {"of_account": account_id, "new_horizon": horizon}
    connection.execute(_RAISE_HORIZON, parameters)
    return connection.execute(_TRIM, parameters).rowcount


def _outcome(event: Event, number: int) -> Outcome:
    return Outcome(
        number,
        event.name,
        event.time,
        event.message_id,
        storable(event.recipient),
        storable(event.reply),
        event.trace_id,
        event.span_id,
    )


def _parse(row: Any) -> Outcome:
    return Outcome(
        int(row.number),
        EventName(row.name),
        row.time,
        None if row.message_id is None else MessageId(row.message_id),
        row.recipient,
        row.reply,
        row.trace_id,
        row.span_id,
    )
