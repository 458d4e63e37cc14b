"""Flag changes on PostgreSQL by optimistic concurrency: one autocommitted statement, one round trip, and no prior read.

The new flags are computed from the cached mailboxes. The statement is a compare-and-set on HIGHESTMODSEQ: it locks,
advances and notifies only mailboxes that are still at the cached modseq, and writes only their entries. That is
sufficient, because every transaction that changes a mailbox raises its HIGHESTMODSEQ while it holds the row lock.
Requests for the other mailboxes have no result and take the path of `flags`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Double, SmallInteger, Text, bindparam, column, func, null, select, true, update
from sqlalchemy.types import TypeEngine

from relate_mailstore.sql.deltas import Committed, MailboxDelta, MailboxKey
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import ListOf
from relate_mailstore.sql.notices.payload import MAX_PAYLOAD_OCTETS, encode_change
from relate_mailstore.sql.notices.postgres import CHANNEL
from relate_mailstore.sql.schema.rows import pack_keywords
from relate_mailstore.sql.schema.tables import entries, mailboxes
from relate_mailstore.sql.write.flags import FlagRequest, FlagResult, cached_entries, change_requested
from relate_mailstore.types import MailboxId, Snapshot

MAX_CHANGES_OCTETS = MAX_PAYLOAD_OCTETS - 200  # of a notice; changes of more mailboxes take the path of `flags`

_DELTA_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "of_account": BigInteger(),
    "of_mailbox": BigInteger(),
    "cached_modseq": BigInteger(),
    "modseq": BigInteger(),
    "changed_at": Double(),
    "notice": Text(),
}
_ENTRY_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "in_account": BigInteger(),
    "in_mailbox": BigInteger(),
    "uid": BigInteger(),
    "flags": SmallInteger(),
    "keywords": Text(),
    "new_modseq": BigInteger(),
}
_CACHED_COLUMNS = {name: _DELTA_COLUMNS[name] for name in ("of_account", "of_mailbox", "cached_modseq")}


def _unnested(columns: Mapping[str, TypeEngine[Any]], name: str) -> Any:
    lists = (bindparam(of, type_=ListOf(kind)) for of, kind in columns.items())
    table = func.unnest(*lists).table_valued(*(column(of, kind) for of, kind in columns.items()))
    return table.render_derived(name=name).c


_delta = _unnested(_DELTA_COLUMNS, "delta")
_entry = _unnested(_ENTRY_COLUMNS, "entry")
_cached = _unnested(_CACHED_COLUMNS, "cached")

_FIND_UNCHANGED = select(mailboxes.c.id).where(
    mailboxes.c.account_id == _cached.of_account,
    mailboxes.c.id == _cached.of_mailbox,
    mailboxes.c.highest_modseq == _cached.cached_modseq,
)
# Locked in the order of their ids, as everywhere. After waiting for a lock, PostgreSQL evaluates the condition again.
_locked = (
    select(*_delta)
    .where(
        mailboxes.c.account_id == _delta.of_account,
        mailboxes.c.id == _delta.of_mailbox,
        mailboxes.c.highest_modseq == _delta.cached_modseq,
    )
    .order_by(mailboxes.c.id)
    .with_for_update(of=mailboxes)
    .cte("locked")
    .c
)
_advanced = (
    update(mailboxes)
    .where(mailboxes.c.account_id == _locked.of_account, mailboxes.c.id == _locked.of_mailbox)
    .values(highest_modseq=_locked.modseq, changed=_locked.changed_at, origin=null())
    .returning(mailboxes.c.id, _locked.notice)
    .cte("advanced")
)
_written = (
    update(entries)
    .where(
        entries.c.account_id == _entry.in_account,
        entries.c.mailbox_id == _entry.in_mailbox,
        entries.c.uid == _entry.uid,
        entries.c.mailbox_id == _advanced.c.id,
    )
    .values(flags=_entry.flags, keywords=_entry.keywords, modseq=_entry.new_modseq)
    .cte("written")
)
_changes = func.string_agg(_advanced.c.notice, ",")
_COMPARE_AND_SET = (
    select(
        func.array_agg(_advanced.c.id).label("ids"),
        func.pg_notify(CHANNEL, func.concat('{"changes":[', _changes, "]}")),
        func.set_config("synchronous_commit", "off", true()),  # docs/decisions/0007
    )
    .having(func.count() > 0)
    .add_cte(_written)
)


async def apply_optimistically(
    database: Database, batch: Sequence[FlagRequest], cached: Mapping[MailboxKey, Snapshot]
) -> Committed[Sequence[FlagResult | None]]:
    """Change the flags of entries in cached mailboxes that are current; None for each request that was not applied."""
    deltas = {key: MailboxDelta(snapshot.mailbox) for key, snapshot in cached.items()}
    found = cached_entries(batch, cached)
    results = [
        change_requested(deltas[request.key], found[request.key], request) if request.key in deltas else None
        for request in batch
    ]
    current = await _compare_and_set(database, list(deltas.values()))
    return Committed(
        [result if request.key.mailbox_id in current else None for result, request in zip(results, batch, strict=True)],
        [delta for delta in deltas.values() if delta.dirty and delta.mailbox.id in current],
    )


async def _compare_and_set(database: Database, deltas: Sequence[MailboxDelta]) -> Collection[MailboxId]:
    """Write the deltas whose mailboxes are still at the cached modseq; the ids of all mailboxes that are."""
    changed = [delta for delta in deltas if delta.dirty]
    unchanged = await _find_unchanged(database, [delta for delta in deltas if not delta.dirty])
    notices = [encode_change(delta.notice) for delta in changed]
    if not changed or sum(map(len, notices)) > MAX_CHANGES_OCTETS:
        return unchanged
    parameters = _lists(_DELTA_COLUMNS, map(_delta_row, changed, notices))
    parameters |= _lists(_ENTRY_COLUMNS, _entry_rows(changed))
    rows = await database.execute(_COMPARE_AND_SET, parameters)
    return unchanged.union(*(row.ids for row in rows))


async def _find_unchanged(database: Database, deltas: Sequence[MailboxDelta]) -> frozenset[MailboxId]:
    """The mailboxes that are still at the cached modseq, where that is all the request needs: it changes nothing."""
    if not deltas:
        return frozenset()
    rows = ((*delta.key, delta.mailbox.highest_modseq) for delta in deltas)
    return frozenset(row.id for row in await database.execute(_FIND_UNCHANGED, _lists(_CACHED_COLUMNS, rows)))


def _delta_row(delta: MailboxDelta, notice: str) -> Sequence[object]:
    mailbox = delta.mailbox
    return mailbox.account_id, mailbox.id, mailbox.highest_modseq, delta.modseq, delta.changed_at, notice


def _entry_rows(deltas: Iterable[MailboxDelta]) -> Iterable[Sequence[object]]:
    for delta in deltas:
        account_id, mailbox_id = delta.mailbox.account_id, delta.mailbox.id
        for entry in delta.changed_entries:
            yield account_id, mailbox_id, entry.uid, entry.flags, pack_keywords(entry.keywords), entry.modseq


def _lists(names: Iterable[str], rows: Iterable[Sequence[object]]) -> dict[str, object]:
    """One list per column."""
    return dict(zip(names, zip(*rows, strict=True), strict=True))
