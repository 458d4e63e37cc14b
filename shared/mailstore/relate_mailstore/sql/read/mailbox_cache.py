"""The mailbox cache: mailboxes with all their entries, brought up to date by reading what has a later modseq.

Every lookup first drains pending notices (`catch_up`), because NOTIFY arrives after COMMIT and a session must see
everything that was committed before its command. If a mailbox has changed, one statement reads its row and its changed
entries. That is a consistent state: a statement has one snapshot, and modseqs are assigned under the row's lock, so
none becomes visible after a later one.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy import Row, Uuid, bindparam, false, literal, null, select, true, type_coerce, union_all

from relate_mailstore.entry_columns import ENTRY_OCTETS, EntryColumns
from relate_mailstore.entry_list import LEAF_ENTRIES, EntryList
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.identifiers import NO_MODSEQ, NO_UID
from relate_mailstore.sql.cache.lru import Caches, LruCache
from relate_mailstore.sql.deltas import Committed, MailboxDelta, MailboxKey, MailboxName
from relate_mailstore.sql.driver.coalesce import Coalescer
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.mailboxes import find_mailboxes
from relate_mailstore.sql.notices.ports import Notices
from relate_mailstore.sql.schema.rows import (
    ENTRY_COLUMNS,
    MAILBOX_COLUMNS,
    column_texts,
    parse_columns,
    parse_entry,
    parse_mailbox,
    stored_name,
)
from relate_mailstore.sql.schema.tables import entries, expunged, mailboxes
from relate_mailstore.types import AccountId, Entry, Mailbox, MailboxId, Snapshot, Uid

MAX_PENDING_DELTAS = 100  # per mailbox: a mailbox that is not looked up in the meantime is read instead
SLICE_ENTRIES = 2_000  # parsed before other sessions run: about 5 ms
SMALL_MAILBOX_ENTRIES = 500  # read as rows: one query in place of two
PIECE_ENTRIES = 2_048  # of a first load: read by one query, and parsed before other sessions run, in about 2 ms
MAX_CHANGED_ENTRIES = 10_000  # read as rows; if there are more, reading all entries as columns takes less memory

# Measured with tracemalloc.
SNAPSHOT_OCTETS = 1_100
DELTA_OCTETS = 900
REMOVED_UID_OCTETS = 40

_CHANGED = select(*ENTRY_COLUMNS, false().label("gone")).where(
    entries.c.account_id == bindparam("account_id"),
    entries.c.mailbox_id == bindparam("mailbox_id"),
    entries.c.modseq > bindparam("known"),
)
_GONE = select(
    expunged.c.uid,
    type_coerce(null(), Uuid),
    literal(0),
    literal(0),
    literal(""),
    literal(0),
    expunged.c.modseq,
    literal(0),
    true(),
).where(
    # A first load reads no tombstones.
    bindparam("known") > 0,
    expunged.c.account_id == bindparam("account_id"),
    expunged.c.mailbox_id == bindparam("mailbox_id"),
    expunged.c.modseq > bindparam("known"),
)
_CHANGES = union_all(_CHANGED, _GONE).limit(bindparam("most")).subquery()
# Each row has the mailbox's columns. Without changes there is one row, without an entry.
_LOAD = (
    select(*MAILBOX_COLUMNS, mailboxes.c.horizon, *_CHANGES.c)
    .select_from(mailboxes.outerjoin(_CHANGES, true()))
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id"))
)

# An aggregate receives the rows of a subquery in the subquery's order if nothing else is between the two.
_PIECE = select(
    *column_texts(
        select(*ENTRY_COLUMNS)
        .where(
            entries.c.account_id == bindparam("account_id"),
            entries.c.mailbox_id == bindparam("mailbox_id"),
            entries.c.uid > bindparam("last_uid"),
        )
        .order_by(entries.c.uid)
        .limit(bindparam("most"))
        .subquery()
        .c
    )
)

_STATE = select(*MAILBOX_COLUMNS).where(
    mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id")
)
_CHANGES_START = len(MAILBOX_COLUMNS) + 1

_modseq_before = attrgetter("mailbox.highest_modseq")


class _Pending(NamedTuple):
    """Deltas that this process committed and that are not yet applied to the cached snapshot."""

    deltas: tuple[MailboxDelta, ...] = ()
    octets: int = 0


class MailboxCache:
    """The snapshots of mailboxes that were looked up last."""

    def __init__(self, database: Database, notices: Notices, caches: Caches) -> None:
        self._database = database
        self._find: Coalescer[MailboxName, Mailbox | None] = Coalescer(partial(find_mailboxes, database))
        self._catch_up = notices.catch_up
        self._freshness = notices.freshness
        self._cache: LruCache[MailboxId, Snapshot] = caches.add("mailboxes", _weigh, self._on_evict)
        self._ids: dict[MailboxName, MailboxId] = {}  # of the cached snapshots
        self._pending: LruCache[MailboxId, _Pending] = caches.add("pending_deltas", _octets)
        self._in_use: WeakValueDictionary[MailboxId, Snapshot] = WeakValueDictionary()  # those of sessions too
        self._loading: WeakValueDictionary[MailboxId, asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        """Wait for the running query."""
        await self._find.close()

    async def mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        """The current row of a mailbox. Raises MailboxNotFound."""
        key = MailboxName(account_id, stored_name(name))
        cached = await self._current(key)
        return cached.mailbox if cached is not None else await self._query(key)

    async def snapshot(self, account_id: AccountId, name: str) -> Snapshot:
        """The current snapshot of a mailbox; the same object while nothing changes. Raises MailboxNotFound."""
        key = MailboxName(account_id, stored_name(name))
        if current := await self._current(key):
            return current
        stamp = self._freshness.stamp()
        mailbox = await self._query(key)
        self._freshness.mark_read(mailbox.id, stamp)
        cached = self._lookup(mailbox.id)
        if cached is None or not _supersedes(mailbox, cached.mailbox):
            return await self._first_load(mailbox, cached)
        if cached.mailbox == mailbox:
            self._cache.touch(mailbox.id)
            return cached
        if cached.mailbox.highest_modseq == mailbox.highest_modseq:
            snapshot = Snapshot(mailbox, cached.entries)
        else:
            snapshot = await self._load(cached)
        self._store(snapshot)
        return snapshot

    async def _first_load(self, mailbox: Mailbox, outdated: Snapshot | None) -> Snapshot:
        """A snapshot of this state of the mailbox, or of a later one. Concurrent callers share one load."""
        async with self._loading.setdefault(mailbox.id, asyncio.Lock()):
            loaded = self._lookup(mailbox.id)
            if loaded is None or loaded is outdated or not _supersedes(loaded.mailbox, mailbox):
                loaded = await self._load(await self._read_pieces(mailbox))
                self._store(loaded)
            return loaded

    async def _current(self, name: MailboxName) -> Snapshot | None:
        """The cached snapshot of a mailbox, if it is current. Of changes of `first_recent_uid` there are no notices.

        Messages may then be \\Recent in more than one session, which RFC 3501 §2.3.2 allows where it cannot be known.
        """
        mailbox_id = self._ids.get(name)
        if mailbox_id is not None and await self._catch_up():
            cached = self._lookup(mailbox_id)
            if (
                cached is not None
                and _name(cached) == name
                and self._freshness.is_current(mailbox_id, cached.mailbox.highest_modseq)
            ):
                self._cache.hits += 1
                self._cache.touch(mailbox_id)
                return cached
        self._cache.misses += 1
        return None

    async def _query(self, name: MailboxName) -> Mailbox:
        mailbox = await self._find(name)
        if mailbox is None:
            raise MailboxNotFound(f"account {name.account_id}")
        return mailbox

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The current snapshot of the same mailbox id; no query without a newer notice. Raises MailboxNotFound."""
        cached = self._lookup(snapshot.mailbox.id)
        if cached is None or not _supersedes(cached.mailbox, snapshot.mailbox):
            cached = snapshot
        if self._freshness.is_current(cached.mailbox.id, cached.mailbox.highest_modseq):
            self._cache.hits += 1
        else:
            self._cache.misses += 1
            stamp = self._freshness.stamp()
            cached = await self._bring_up_to_date(cached)
            self._freshness.mark_read(cached.mailbox.id, stamp)
            self._store(cached)
        unchanged = cached.mailbox.highest_modseq == snapshot.mailbox.highest_modseq
        return snapshot if unchanged and _supersedes(cached.mailbox, snapshot.mailbox) else cached

    def update_recent(self, mailbox_id: MailboxId, first_recent_uid: Uid) -> None:
        """Messages below this UID are no longer \\Recent."""
        cached = self._cache.peek(mailbox_id)
        if cached is not None and cached.mailbox.first_recent_uid < first_recent_uid:
            mailbox = replace(cached.mailbox, first_recent_uid=first_recent_uid)
            self._cache.put(mailbox_id, replace(cached, mailbox=mailbox))

    def on_commit(self, committed: Committed[Any]) -> None:
        """Apply a commit of this process to the cached snapshots, each at its next lookup."""
        for delta in committed.deltas:
            self._add_pending(delta)

    def _add_pending(self, delta: MailboxDelta) -> None:
        mailbox_id = delta.mailbox.id
        if self._cache.peek(mailbox_id) is None:
            return
        deltas, octets = self._pending.peek(mailbox_id) or _Pending()
        if len(deltas) < MAX_PENDING_DELTAS and delta.complete:
            self._pending.put(mailbox_id, _Pending((*deltas, delta), octets + _weigh_delta(delta)))
        else:
            self._pending.pop(mailbox_id)

    def cached(self, keys: Iterable[MailboxKey]) -> Mapping[MailboxKey, Snapshot]:
        """The cached snapshots of these mailboxes, which may be stale."""
        cached = ((key, self._lookup(key.mailbox_id)) for key in keys)
        return {key: one for key, one in cached if one is not None and one.mailbox.account_id == key.account_id}

    def _lookup(self, mailbox_id: MailboxId) -> Snapshot | None:
        """The cached snapshot, with the pending deltas applied that continue its modseq without a gap."""
        cached = self._cache.peek(mailbox_id)
        if cached is None:
            return self._in_use.get(mailbox_id)
        if self._pending.peek(mailbox_id) is None:
            return cached
        pending = self._pending.pop(mailbox_id) or _Pending()
        mailbox, changed, removed = cached.mailbox, dict[Uid, Entry](), set[Uid]()
        for delta in sorted(pending.deltas, key=_modseq_before):
            if delta.mailbox.highest_modseq != mailbox.highest_modseq:
                continue
            mailbox = delta.apply(mailbox)
            removed.update(delta.removed_uids)
            changed.update((entry.uid, entry) for entry in delta.changed_entries)
        if mailbox is cached.mailbox:
            return cached
        new = [entry for uid, entry in changed.items() if uid not in removed]
        snapshot = Snapshot(mailbox, cached.entries.after(mailbox.highest_modseq, new, removed))
        self._store(snapshot)
        return snapshot

    async def _bring_up_to_date(self, cached: Snapshot) -> Snapshot:
        """The current snapshot. On SQLite only the row is read first: a notice may be of any mailbox in the file."""
        if self._database.dialect == SQLITE:
            key = {"account_id": cached.mailbox.account_id, "mailbox_id": cached.mailbox.id}
            if cached.mailbox in map(parse_mailbox, await self._database.fetch_inline(_STATE, key)):
                return cached
        return await self._load(cached)

    async def _load(self, cached: Snapshot) -> Snapshot:
        """The snapshot as of this read: the cached one with all later changes."""
        mailbox = cached.mailbox
        key = {"account_id": mailbox.account_id, "mailbox_id": mailbox.id}
        parameters = {**key, "known": mailbox.highest_modseq, "most": MAX_CHANGED_ENTRIES}
        rows = await self._database.fetch(_LOAD, parameters)
        if not rows:
            raise MailboxNotFound(f"mailbox {mailbox.id} of account {mailbox.account_id}")
        now = parse_mailbox(rows[0][: len(MAILBOX_COLUMNS)])
        is_known = _supersedes(now, mailbox) and not 0 < mailbox.highest_modseq < rows[0].horizon
        if not is_known or len(rows) == MAX_CHANGED_ENTRIES:
            return await self._load(await self._read_pieces(now))
        changes = [row for row in rows if row.uid is not None]
        changed = await _parse([row for row in changes if not row.gone])
        removed = {row.uid for row in changes if row.gone}
        return Snapshot(now, cached.entries.after(now.highest_modseq, changed, removed))

    async def _read_pieces(self, mailbox: Mailbox) -> Snapshot:
        """The entries of a large mailbox, and none of a small one, whose `_load` is a single query.

        Each piece is as of its own read. That does not matter, because `_load` reads all that has changed since
        `mailbox`, the state before the first of them.
        """
        if mailbox.messages <= SMALL_MAILBOX_ENTRIES:
            return Snapshot(replace(mailbox, highest_modseq=NO_MODSEQ), EntryList())
        key = {"account_id": mailbox.account_id, "mailbox_id": mailbox.id}
        leaves, last_uid, is_last = list[EntryColumns](), NO_UID, False
        while not is_last:
            [row] = await self._database.fetch(_PIECE, {**key, "last_uid": last_uid, "most": PIECE_ENTRIES})
            piece = parse_columns(row)
            leaves += piece.split(LEAF_ENTRIES)
            last_uid, is_last = Uid(max(piece.uid, default=last_uid)), len(piece) < PIECE_ENTRIES
        return Snapshot(mailbox, EntryList.of_columns(leaves, mailbox.highest_modseq))

    def _store(self, snapshot: Snapshot) -> None:
        mailbox_id = snapshot.mailbox.id
        before = self._cache.peek(mailbox_id)
        if before is not None:
            if _is_later(before.mailbox, snapshot.mailbox):
                return  # a later read finished first
            self._forget_name(before)
        self._ids[_name(snapshot)] = mailbox_id
        self._in_use[mailbox_id] = snapshot
        self._cache.put(mailbox_id, snapshot)

    def _on_evict(self, mailbox_id: MailboxId, snapshot: Snapshot) -> None:
        self._pending.pop(mailbox_id)
        self._forget_name(snapshot)

    def _forget_name(self, snapshot: Snapshot) -> None:
        """Remove the mailbox's name, unless it was renamed and the name is now another mailbox's."""
        name = _name(snapshot)
        if self._ids.get(name) == snapshot.mailbox.id:
            del self._ids[name]

    async def clear(self, connection: object = None) -> None:
        """Remove all snapshots: after a crash of the database, changes of flags that are cached may be lost."""
        self._cache.clear()
        self._in_use.clear()
        self._ids.clear()
        self._pending.clear()


async def _parse(rows: Sequence[Row[Any]]) -> list[Entry]:
    parsed: list[Entry] = []
    for start in range(0, len(rows), SLICE_ENTRIES):
        parsed.extend(parse_entry(row[_CHANGES_START:-1]) for row in rows[start : start + SLICE_ENTRIES])
        await asyncio.sleep(0)
    return parsed


def _supersedes(one: Mailbox, other: Mailbox) -> bool:
    """Whether `one` is the same state of the mailbox or a later one: false after a backup was restored."""
    return one.uid_validity == other.uid_validity and one.highest_modseq >= other.highest_modseq


def _is_later(one: Mailbox, other: Mailbox) -> bool:
    """Whether `one` has a later modseq. With an equal one `first_recent_uid` may have changed."""
    return one.uid_validity == other.uid_validity and one.highest_modseq > other.highest_modseq


def _name(snapshot: Snapshot) -> MailboxName:
    return MailboxName(snapshot.mailbox.account_id, snapshot.mailbox.name)


def _weigh(snapshot: Snapshot) -> int:
    return snapshot.entries.octets + SNAPSHOT_OCTETS


def _weigh_delta(delta: MailboxDelta) -> int:
    return ENTRY_OCTETS * len(delta.changed_entries) + REMOVED_UID_OCTETS * len(delta.removed_uids) + DELTA_OCTETS


def _octets(pending: _Pending) -> int:
    return pending.octets
