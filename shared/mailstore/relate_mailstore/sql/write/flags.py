"""Changes of flags that wait at the same time share a transaction, as deliveries do: a few statements for all of them.

Each still sees what the one before it left, and has a modseq of its own: a client that was told the first state of an
entry must find the second one to be later.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Connection, and_, column, func, select

from relate_mailstore.errors import MailboxNotFound, StoreError, TooManyKeywords
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL, numbers
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.mailboxes import Key, Step, lock_relaxed
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, parse_entry
from relate_mailstore.sql.schema.tables import entries
from relate_mailstore.sql.write.expunge import READ_ENTRIES, Committed, write_flags
from relate_mailstore.sql.write.flags_optimistic import advance_believed
from relate_mailstore.types import Entry, FlagChange, Flagged, Mailbox, Snapshot

BATCH_UIDS = 1_000  # of all changes in a batch: it holds its mailboxes for some 10 ms; a bigger change goes alone

_WANTED = (
    func.unnest(numbers("accounts"), numbers("mailboxes"), numbers("uids"))
    .table_valued(
        *(column(name, BigInteger) for name in ("account_id", "mailbox_id", "uid")),
    )
    .render_derived(name="wanted")
)
_READ_SEVERAL = select(entries.c.account_id, entries.c.mailbox_id, *ENTRY_COLUMNS).join_from(
    _WANTED,
    entries,
    and_(*(entries.c[name] == _WANTED.c[name] for name in ("account_id", "mailbox_id", "uid"))),
)


@dataclass(frozen=True, slots=True, eq=False)
class FlagRequest:
    """A change that waits. `context` is the caller's: the SQL spans of a batch land in that of its first one."""

    key: Key
    uids: Sequence[int]  # ascending
    change: FlagChange
    unchanged_since: int | None
    context: Context = field(default_factory=copy_context)
    receipt: asyncio.Future[Flagged] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        """Entries to look at."""
        return len(self.uids)


Outcome = Flagged | StoreError


def change_flags(
    connection: Connection, batch: Sequence[FlagRequest], believed: Mapping[Key, Snapshot]
) -> Committed[Sequence[Outcome]]:
    """Make the changes one after the other, their mailboxes being locked; an outcome for each."""
    steps = {key: Step(mailbox) for key, mailbox in lock_relaxed(connection, {one.key for one in batch}).items()}
    known = {key: one for key, one in believed.items() if key in steps and _is_still(one, steps[key].mailbox)}
    found = _read(connection, [one for one in batch if one.key in steps and one.key not in known])
    found |= _look_up(batch, known)
    outcomes = [_change(steps.get(one.key), found[one.key], one) for one in batch]
    taken = [step for step in steps.values() if step.taken]
    write_flags(connection, taken)
    return Committed(outcomes, taken)


async def change_believed(
    database: Database, batch: Sequence[FlagRequest], believed: Mapping[Key, Snapshot]
) -> Committed[Sequence[Outcome | None]]:
    """Make the changes by one statement where mailboxes are as this process believes; None for what is left to do."""
    steps = {key: Step(snapshot.mailbox) for key, snapshot in believed.items()}
    found = _look_up(batch, believed)
    outcomes = [_change(steps[one.key], found[one.key], one) if one.key in steps else None for one in batch]
    certain = await advance_believed(database, list(steps.values()))
    return Committed(
        [outcome if one.key[1] in certain else None for outcome, one in zip(outcomes, batch, strict=True)],
        [step for step in steps.values() if step.taken and step.mailbox.id in certain],
    )


def _is_still(known: Snapshot, mailbox: Mailbox) -> bool:
    return (known.mailbox.uid_validity, known.mailbox.highest_modseq) == (mailbox.uid_validity, mailbox.highest_modseq)


def _look_up(batch: Iterable[FlagRequest], known: Mapping[Key, Snapshot]) -> dict[Key, dict[int, Entry]]:
    """The entries that are to be changed, by mailbox and UID, as this process knows them."""
    found: dict[Key, dict[int, Entry]] = {key: {} for key in known}
    for one in batch:
        if snapshot := known.get(one.key):
            entries = map(snapshot.entries.find, one.uids)
            found[one.key].update((entry.uid, entry) for entry in entries if entry is not None)
    return found


def _read(connection: Connection, batch: Sequence[FlagRequest]) -> defaultdict[Key, dict[int, Entry]]:
    """The entries that are to be changed, by mailbox and UID."""
    wanted: defaultdict[Key, set[int]] = defaultdict(set)
    for one in batch:
        wanted[one.key].update(one.uids)
    found: defaultdict[Key, dict[int, Entry]] = defaultdict(dict)
    if len(wanted) > 1 and connection.dialect.name == POSTGRESQL:  # where a statement is a round trip
        triples = [(*key, uid) for key, uids in wanted.items() for uid in uids]
        parameters = dict(zip(("accounts", "mailboxes", "uids"), zip(*triples, strict=True), strict=True))
        for row in run(connection, _READ_SEVERAL, parameters):
            found[row[0], row[1]][row.uid] = parse_entry(row[2:])
        return found
    for key, uids in wanted.items():
        rows = run(connection, READ_ENTRIES, {"of_account": key[0], "of_mailbox": key[1], "uids": uids})
        found[key] = {row.uid: parse_entry(row) for row in rows}
    return found


def _change(step: Step | None, found: dict[int, Entry], request: FlagRequest) -> Flagged | StoreError:
    if step is None:
        return MailboxNotFound(f"mailbox {request.key[1]} of account {request.key[0]}")
    modseq = step.modseq + step.taken
    before = [found[uid] for uid in request.uids if uid in found]
    since = request.unchanged_since
    modified = tuple(entry.uid for entry in before if since is not None and entry.modseq > since)
    left = set(modified)
    try:
        after = [entry if entry.uid in left else change_entry(entry, request.change, modseq) for entry in before]
    except TooManyKeywords as error:
        return error
    changed = {new.uid: new for old, new in zip(before, after, strict=True) if new is not old}
    if changed:
        found.update(changed)
        step.modseqs += step.taken
        step.taken = True
        step.entries = [*(entry for entry in step.entries if entry.uid not in changed), *changed.values()]
    return Flagged(tuple(after), modified)
