"""Mailboxes with all their entries, kept by the process and brought up to date by modseq.

Whether one is up to date is asked with each call: notices come later than commits, and a session must see what another
process stored before it. So what is on its way is waited for. If something was heard, one statement reads what has a
later modseq together with the mailbox's numbers: a statement sees one state of the database, and as modseqs are given
under the row's lock, none is hidden behind a later.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, Uuid, bindparam, false, literal, null, select, true, type_coerce, union_all

from relate_mailstore.entry_list import EntryList
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.sql.driver.coalesce import Gathered
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.mailboxes import Key, Place, Step, find_mailboxes
from relate_mailstore.sql.notices.postgres import Notices
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, MAILBOX_COLUMNS, parse_entry, parse_mailbox, stored_name
from relate_mailstore.sql.schema.tables import entries, expunged, mailboxes
from relate_mailstore.types import AccountId, Entry, Mailbox, MailboxId, Snapshot

CACHE_ENTRIES = 200_000  # a process keeps: 250 octets each, that is 50 MB
LEARNED_STEPS = 100  # of a mailbox that nobody asks for meanwhile
SLICE_ENTRIES = 2_000  # turned into values before other sessions have their turn: some 5 ms

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
    # Whoever knows nothing yet need not hear what is gone.
    bindparam("known") > 0,
    expunged.c.account_id == bindparam("account_id"),
    expunged.c.mailbox_id == bindparam("mailbox_id"),
    expunged.c.modseq > bindparam("known"),
)
_NEWS = union_all(_CHANGED, _GONE).subquery()
# The mailbox's columns stand in every row, and in one without an entry where there is no news.
_LOAD = (
    select(*MAILBOX_COLUMNS, mailboxes.c.horizon, *_NEWS.c)
    .select_from(mailboxes.outerjoin(_NEWS, true()))
    .where(mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id"))
)

_STATE = select(*MAILBOX_COLUMNS).where(
    mailboxes.c.account_id == bindparam("account_id"), mailboxes.c.id == bindparam("mailbox_id")
)
_NEWS_START = len(MAILBOX_COLUMNS) + 1

_modseq_before = attrgetter("mailbox.highest_modseq")


class Snapshots:
    """The snapshots that were asked for last."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._find: Gathered[Place, Mailbox | None] = Gathered(partial(find_mailboxes, database))
        self._catch_up = notices.catch_up
        self._heard = notices.heard
        self._kept: OrderedDict[MailboxId, Snapshot] = OrderedDict()
        self._ids: dict[Place, MailboxId] = {}  # of those that are kept
        self._learned: dict[MailboxId, list[Step]] = {}
        self._entries = 0

    async def close(self) -> None:
        """Wait for what is being asked."""
        await self._find.close()

    async def mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        """A mailbox as it is now. Raises MailboxNotFound."""
        place = account_id, stored_name(name)
        known = await self._current(place)
        return known.mailbox if known is not None else await self._ask(place)

    async def snapshot(self, account_id: AccountId, name: str) -> Snapshot:
        """A mailbox as it is now; the same object as long as it is the same. Raises MailboxNotFound."""
        place = account_id, stored_name(name)
        if current := await self._current(place):
            return current
        stamp = self._heard.stamp()
        mailbox = await self._ask(place)
        self._heard.read(mailbox.id, stamp)
        known = self._recall(mailbox.id)
        if known is None or not _supersedes(mailbox, known.mailbox):
            known = _nothing_of(mailbox)
        if known.mailbox == mailbox:
            self._kept.move_to_end(mailbox.id)
            return known
        if known.mailbox.highest_modseq == mailbox.highest_modseq:
            snapshot = Snapshot(mailbox, known.entries)
        else:
            snapshot = await self._load(known)
        self._keep(snapshot)
        return snapshot

    async def _current(self, place: Place) -> Snapshot | None:
        """What is kept of a mailbox, if it still is so, but for `first_recent_uid`: no notice tells of taking it.

        Messages may be \\Recent to more than one then, which is allowed where it cannot be known (RFC 3501 §2.3.2).
        """
        mailbox_id = self._ids.get(place)
        if mailbox_id is None or not await self._catch_up():
            return None
        known = self._recall(mailbox_id)
        if known is None or _place(known) != place:
            return None
        if not self._heard.is_current(mailbox_id, known.mailbox.highest_modseq):
            return None
        self._kept.move_to_end(mailbox_id)
        return known

    async def _ask(self, place: Place) -> Mailbox:
        mailbox = await self._find(place)
        if mailbox is None:
            raise MailboxNotFound(f"account {place[0]}")
        return mailbox

    async def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The mailbox as it is now, by its id; no query if nothing was heard of it. Raises MailboxNotFound."""
        known = self._recall(snapshot.mailbox.id)
        if known is None or not _supersedes(known.mailbox, snapshot.mailbox):
            known = snapshot
        if not self._heard.is_current(known.mailbox.id, known.mailbox.highest_modseq):
            stamp = self._heard.stamp()
            known = await self._bring_up_to_date(known)
            self._heard.read(known.mailbox.id, stamp)
            self._keep(known)
        unchanged = known.mailbox.highest_modseq == snapshot.mailbox.highest_modseq
        return snapshot if unchanged and _supersedes(known.mailbox, snapshot.mailbox) else known

    def learn_recent(self, mailbox_id: MailboxId, recent: int) -> None:
        """Messages before this UID are not \\Recent any more."""
        known = self._kept.get(mailbox_id)
        if known is not None and known.mailbox.first_recent_uid < recent:
            self._kept[mailbox_id] = replace(known, mailbox=replace(known.mailbox, first_recent_uid=recent))

    def learn(self, step: Step) -> None:
        """This process committed this: where the mailbox is kept, it need not be read for that."""
        if step.mailbox.id in self._kept:
            steps = self._learned.setdefault(step.mailbox.id, [])
            steps.append(step)
            if len(steps) > LEARNED_STEPS or not step.whole:
                self._learned[step.mailbox.id] = []

    def believed(self, keys: Iterable[Key]) -> Mapping[Key, Snapshot]:
        """What is kept of these mailboxes, nobody being asked whether it still is so."""
        kept = ((key, self._recall(key[1])) for key in keys)
        return {key: known for key, known in kept if known is not None and known.mailbox.account_id == key[0]}

    def _recall(self, mailbox_id: MailboxId) -> Snapshot | None:
        """What is kept of a mailbox, with what was learned since, as far as nothing is missing between."""
        known = self._kept.get(mailbox_id)
        steps = self._learned.pop(mailbox_id, ())
        if known is None or not steps:
            return known
        mailbox, changed, gone = known.mailbox, dict[int, Entry](), set[int]()
        for step in sorted(steps, key=_modseq_before):
            if step.mailbox.highest_modseq != mailbox.highest_modseq:
                continue
            mailbox = step.apply(mailbox)
            gone.update(step.gone)
            changed.update((entry.uid, entry) for entry in step.entries)
        if mailbox is known.mailbox:
            return known
        new = [entry for uid, entry in changed.items() if uid not in gone]
        snapshot = Snapshot(mailbox, known.entries.after(mailbox.highest_modseq, new, gone))
        self._keep(snapshot)
        return snapshot

    async def _bring_up_to_date(self, known: Snapshot) -> Snapshot:
        """The mailbox as it is now. On SQLite it mostly is as it was: all that is heard is that somebody committed."""
        if self._database.dialect == SQLITE:
            key = {"account_id": known.mailbox.account_id, "mailbox_id": known.mailbox.id}
            if known.mailbox in map(parse_mailbox, await self._database.glance(_STATE, key)):
                return known
        return await self._load(known)

    async def _load(self, known: Snapshot) -> Snapshot:
        """The mailbox as it is when this is read, from what is known of it."""
        mailbox = known.mailbox
        key = {"account_id": mailbox.account_id, "mailbox_id": mailbox.id}
        rows = await self._database.fetch(_LOAD, {**key, "known": known.mailbox.highest_modseq})
        if not rows:
            raise MailboxNotFound(f"mailbox {mailbox.id} of account {mailbox.account_id}")
        now = parse_mailbox(rows[0][: len(MAILBOX_COLUMNS)])
        if not _supersedes(now, mailbox) or 0 < mailbox.highest_modseq < rows[0].horizon:
            return await self._load(_nothing_of(now))
        news = [row for row in rows if row.uid is not None]
        changed = await _parse([row for row in news if not row.gone])
        gone = {row.uid for row in news if row.gone}
        return Snapshot(now, known.entries.after(now.highest_modseq, changed, gone))

    def _keep(self, snapshot: Snapshot) -> None:
        before = self._kept.get(snapshot.mailbox.id)
        if before is not None and _is_later(before.mailbox, snapshot.mailbox):
            return  # somebody who asked later was faster
        if before is not None:
            self._unplace(before)
        self._ids[_place(snapshot)] = snapshot.mailbox.id
        self._kept[snapshot.mailbox.id] = snapshot
        self._kept.move_to_end(snapshot.mailbox.id)
        self._entries += _weight(snapshot) - (_weight(before) if before is not None else 0)
        while self._entries > CACHE_ENTRIES and len(self._kept) > 1:
            mailbox_id, oldest = self._kept.popitem(last=False)
            self._learned.pop(mailbox_id, None)
            self._unplace(oldest)
            self._entries -= _weight(oldest)

    def _unplace(self, snapshot: Snapshot) -> None:
        """What was renamed may have left its name to another mailbox."""
        place = _place(snapshot)
        if self._ids.get(place) == snapshot.mailbox.id:
            del self._ids[place]

    async def forget_all(self, connection: object = None) -> None:
        """A database that is back after a crash may have lost changes of flags that are kept here."""
        self._kept.clear()
        self._ids.clear()
        self._learned.clear()
        self._entries = 0


async def _parse(rows: Sequence[Row[Any]]) -> list[Entry]:
    parsed: list[Entry] = []
    for start in range(0, len(rows), SLICE_ENTRIES):
        parsed.extend(parse_entry(row[_NEWS_START:-1]) for row in rows[start : start + SLICE_ENTRIES])
        await asyncio.sleep(0)
    return parsed


def _nothing_of(mailbox: Mailbox) -> Snapshot:
    return Snapshot(replace(mailbox, highest_modseq=0), EntryList())


def _supersedes(one: Mailbox, other: Mailbox) -> bool:
    """Whether `one` is a later state of the mailbox than `other`, or the same: not so when a backup was restored."""
    return one.uid_validity == other.uid_validity and one.highest_modseq >= other.highest_modseq


def _is_later(one: Mailbox, other: Mailbox) -> bool:
    """The same modseq is no later: which messages are \\Recent changes without."""
    return one.uid_validity == other.uid_validity and one.highest_modseq > other.highest_modseq


def _place(snapshot: Snapshot) -> Place:
    return snapshot.mailbox.account_id, snapshot.mailbox.name


def _weight(snapshot: Snapshot) -> int:
    return len(snapshot.entries) + 4  # an empty one weighs something, too
