"""Changes of flags by one statement: mailboxes that are as this process believes are locked, advanced, written and told
of, in one round trip to PostgreSQL that is its own transaction. Those that are not, stay as they are.

Of a mailbox that is still at the modseq at which it is known everything is known: who changes it gives out another.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Double, SmallInteger, Text, bindparam, column, func, null, select, true, update
from sqlalchemy.types import TypeEngine

from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ListOf
from relate_mailstore.sql.mailboxes import Step
from relate_mailstore.sql.notices.postgres import CHANNEL, PAYLOAD_OCTETS, encode_change
from relate_mailstore.sql.schema.rows import pack_keywords
from relate_mailstore.sql.schema.tables import entries, mailboxes
from relate_mailstore.types import MailboxId

NOTICES_OCTETS = PAYLOAD_OCTETS - 200  # together; what names so many mailboxes that it is more, is done in another way

_STEP: Mapping[str, TypeEngine[Any]] = {
    "of_account": BigInteger(),
    "of_mailbox": BigInteger(),
    "believed": BigInteger(),
    "modseq": BigInteger(),
    "moment": Double(),
    "notice": Text(),
}
_CHANGE: Mapping[str, TypeEngine[Any]] = {
    "in_account": BigInteger(),
    "in_mailbox": BigInteger(),
    "uid": BigInteger(),
    "flags": SmallInteger(),
    "keywords": Text(),
    "new_modseq": BigInteger(),
}
_STATE = {name: _STEP[name] for name in ("of_account", "of_mailbox", "believed")}


def _rows(columns: Mapping[str, TypeEngine[Any]], name: str) -> Any:
    lists = (bindparam(of, type_=ListOf(kind)) for of, kind in columns.items())
    table = func.unnest(*lists).table_valued(*(column(of, kind) for of, kind in columns.items()))
    return table.render_derived(name=name).c


_step, _change, _state = _rows(_STEP, "step"), _rows(_CHANGE, "change"), _rows(_STATE, "state")
_LOOK = select(mailboxes.c.id).where(
    mailboxes.c.account_id == _state.of_account,
    mailboxes.c.id == _state.of_mailbox,
    mailboxes.c.highest_modseq == _state.believed,
)
# In the order of their ids, as everybody does it. What another changes while it is waited for, is looked at again.
_locked = (
    select(*_step)
    .where(
        mailboxes.c.account_id == _step.of_account,
        mailboxes.c.id == _step.of_mailbox,
        mailboxes.c.highest_modseq == _step.believed,
    )
    .order_by(mailboxes.c.id)
    .with_for_update(of=mailboxes)
    .cte("locked")
    .c
)
_advanced = (
    update(mailboxes)
    .where(mailboxes.c.account_id == _locked.of_account, mailboxes.c.id == _locked.of_mailbox)
    .values(highest_modseq=_locked.modseq, changed=_locked.moment, origin=null())
    .returning(mailboxes.c.id, _locked.notice)
    .cte("advanced")
)
_written = (
    update(entries)
    .where(
        entries.c.account_id == _change.in_account,
        entries.c.mailbox_id == _change.in_mailbox,
        entries.c.uid == _change.uid,
        entries.c.mailbox_id == _advanced.c.id,
    )
    .values(flags=_change.flags, keywords=_change.keywords, modseq=_change.new_modseq)
    .cte("written")
)
_notices = func.string_agg(_advanced.c.notice, ",")
# Flags are not mail: this transaction waits for no disk (docs/decisions/0007).
_ADVANCE = (
    select(
        func.array_agg(_advanced.c.id).label("ids"),
        func.pg_notify(CHANNEL, func.concat('{"changes":[', _notices, "]}")),
        func.set_config("synchronous_commit", "off", true()),
    )
    .having(func.count() > 0)
    .add_cte(_written)
)


async def advance_believed(database: Database, steps: Sequence[Step]) -> Collection[MailboxId]:
    """Do what the steps do, to those of their mailboxes that are as they were found; which ones that was."""
    taken = [step for step in steps if step.taken]
    still = await _look(database, [step for step in steps if not step.taken])
    notices = [encode_change(step.change) for step in taken]
    if not taken or sum(map(len, notices)) > NOTICES_OCTETS:
        return still
    parameters = _columns(_STEP, map(_step_row, taken, notices)) | _columns(_CHANGE, _changes(taken))
    rows = await database.execute(_ADVANCE, parameters)
    return still.union(*(row.ids for row in rows))


async def _look(database: Database, steps: Sequence[Step]) -> frozenset[MailboxId]:
    """Those of the steps' mailboxes that are as they were found: whoever changes nothing has done it by asking that."""
    if not steps:
        return frozenset()
    rows = ((step.mailbox.account_id, step.mailbox.id, step.mailbox.highest_modseq) for step in steps)
    return frozenset(row.id for row in await database.execute(_LOOK, _columns(_STATE, rows)))


def _step_row(step: Step, notice: str) -> Sequence[object]:
    mailbox = step.mailbox
    return mailbox.account_id, mailbox.id, mailbox.highest_modseq, step.modseq, step.moment, notice


def _changes(steps: Iterable[Step]) -> Iterable[Sequence[object]]:
    for step in steps:
        account, mailbox = step.mailbox.account_id, step.mailbox.id
        for entry in step.entries:
            yield account, mailbox, entry.uid, entry.flags, pack_keywords(entry.keywords), entry.modseq


def _columns(names: Iterable[str], rows: Iterable[Sequence[object]]) -> dict[str, object]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))
