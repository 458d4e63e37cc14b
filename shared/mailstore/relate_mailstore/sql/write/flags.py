"""The transaction of a batch of flag changes.

Requests that are pending at the same time share one transaction, like deliveries. Each sees the result of the one
before it and has a modseq of its own, because a client that was sent the first state of an entry must see a later
modseq on the second.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Connection, and_, column, func, select

from relate_mailstore.change_events import ChangedBy, read_events
from relate_mailstore.errors import MailboxNotFound, StoreError, TooManyKeywords
from relate_mailstore.flag_rules import change_entry
from relate_mailstore.sql.deltas import Committed, MailboxDelta, MailboxKey, dirty
from relate_mailstore.sql.driver.dialects import POSTGRESQL, numbers
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.mailboxes import lock_with_asynchronous_commit
from relate_mailstore.sql.schema.rows import ENTRY_COLUMNS, parse_entry
from relate_mailstore.sql.schema.tables import entries
from relate_mailstore.sql.write.entry_rows import READ_ENTRIES, Located, locate, locate_one, read_entries, write_flags
from relate_mailstore.types import (
    AccountId,
    Entry,
    Flag,
    FlagChange,
    Flagged,
    Mailbox,
    MessageId,
    MessageState,
    ModSeq,
    Snapshot,
    Uid,
)

_REQUESTED = (
    func.unnest(numbers("accounts"), numbers("mailboxes"), numbers("uids"))
    .table_valued(
        *(column(name, BigInteger) for name in ("account_id", "mailbox_id", "uid")),
    )
    .render_derived(name="requested")
)
_READ_OF_MAILBOXES = select(entries.c.account_id, entries.c.mailbox_id, *ENTRY_COLUMNS).join_from(
    _REQUESTED,
    entries,
    and_(*(entries.c[name] == _REQUESTED.c[name] for name in ("account_id", "mailbox_id", "uid"))),
)

FlagResult = Flagged | StoreError
EntriesByUid = dict[Uid, Entry]


@dataclass(frozen=True, slots=True, eq=False)
class FlagRequest:
    """A change of flags that is queued."""

    key: MailboxKey
    uids: Sequence[Uid]  # ascending
    change: FlagChange
    unchanged_since: ModSeq | None
    by: ChangedBy | None = None  # the author of the change, for the event log
    context: Context = field(default_factory=copy_context)
    result: asyncio.Future[Flagged] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def weight(self) -> int:
        """The number of entries to check."""
        return len(self.uids)


def change_flags(
    connection: Connection, batch: Sequence[FlagRequest], cached: Mapping[MailboxKey, Snapshot]
) -> Committed[Sequence[FlagResult]]:
    """Lock the mailboxes and change the flags, request by request.

    Entries are taken from the cached mailboxes that are current, and read otherwise.
    """
    locked = lock_with_asynchronous_commit(connection, {request.key for request in batch})
    deltas = {key: MailboxDelta(mailbox) for key, mailbox in locked.items()}
    current = {key: one for key, one in cached.items() if key in locked and _is_current(one, locked[key])}
    found = _read(connection, [one for one in batch if one.key in deltas and one.key not in current])
    found |= cached_entries(batch, current)
    results = [change_requested(deltas.get(request.key), found[request.key], request) for request in batch]
    changed = dirty(deltas.values())
    write_flags(connection, changed)
    return Committed(results, changed)


def flag_message(  # noqa: PLR0917
    connection: Connection,
    account_id: AccountId,
    message_id: MessageId,
    change: FlagChange,
    expected: MessageState | None = None,
    by: ChangedBy | None = None,
) -> Committed[None]:
    """Change the flags of a message in every mailbox that contains it.

    Raises MessageNotFound, TooManyKeywords, and MessageChanged if its state is not `expected`.
    """
    located = locate_one(connection, account_id, message_id, expected)
    return Committed(None, _change_located(connection, located, change, by))


def mark_messages(
    connection: Connection,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    change: FlagChange,
    by: ChangedBy | None = None,
) -> Committed[int]:
    """Change the system flags of messages in every mailbox that contains them; how many the account has."""
    located = locate(connection, account_id, message_ids)
    return Committed(len(located.message_ids), _change_located(connection, located, change, by))


def _change_located(
    connection: Connection, located: Located, change: FlagChange, by: ChangedBy | None
) -> Sequence[MailboxDelta]:
    for delta, uids in located.places:
        before = read_entries(connection, delta, uids)
        after = [change_entry(entry, change, delta.modseq) for entry in before]
        delta.changed_entries += [new for old, new in zip(before, after, strict=True) if new is not old]
        delta.dirty = bool(delta.changed_entries)
        if by is not None and change.add & Flag.SEEN:
            delta.read += read_events(by, delta.mailbox.account_id, zip(before, after, strict=True))
    changed = dirty(delta for delta, _ in located.places)
    write_flags(connection, changed)
    return changed


def cached_entries(
    batch: Iterable[FlagRequest], cached: Mapping[MailboxKey, Snapshot]
) -> dict[MailboxKey, EntriesByUid]:
    """The entries of a batch that are in cached mailboxes, by mailbox and UID."""
    found: dict[MailboxKey, EntriesByUid] = {key: {} for key in cached}
    for request in batch:
        if snapshot := cached.get(request.key):
            entries = map(snapshot.entries.find, request.uids)
            found[request.key].update((entry.uid, entry) for entry in entries if entry is not None)
    return found


def change_requested(delta: MailboxDelta | None, found: EntriesByUid, request: FlagRequest) -> FlagResult:
    """Apply one request to the entries in `found` and to the delta of its mailbox, which is None if there is none."""
    if delta is None:
        return MailboxNotFound(f"mailbox {request.key.mailbox_id} of account {request.key.account_id}")
    modseq = ModSeq(delta.modseq + delta.dirty)
    before = [found[uid] for uid in request.uids if uid in found]
    since = request.unchanged_since
    modified = tuple(entry.uid for entry in before if since is not None and entry.modseq > since)
    skipped = set(modified)
    try:
        after = [entry if entry.uid in skipped else change_entry(entry, request.change, modseq) for entry in before]
    except TooManyKeywords as error:
        return error
    changed = {new.uid: new for old, new in zip(before, after, strict=True) if new is not old}
    if changed:
        if request.by is not None and request.change.add & Flag.SEEN:
            delta.read += read_events(request.by, request.key.account_id, zip(before, after, strict=True))
        found.update(changed)
        delta.modseq_count += delta.dirty
        delta.dirty = True
        unchanged = (entry for entry in delta.changed_entries if entry.uid not in changed)
        delta.changed_entries = [*unchanged, *changed.values()]
    return Flagged(tuple(after), modified)


def _is_current(cached: Snapshot, locked: Mailbox) -> bool:
    one = cached.mailbox
    return (one.uid_validity, one.highest_modseq) == (locked.uid_validity, locked.highest_modseq)


def _read(connection: Connection, batch: Sequence[FlagRequest]) -> defaultdict[MailboxKey, EntriesByUid]:
    """The entries of a batch, by mailbox and UID."""
    requested: defaultdict[MailboxKey, set[Uid]] = defaultdict(set)
    for request in batch:
        requested[request.key].update(request.uids)
    found: defaultdict[MailboxKey, EntriesByUid] = defaultdict(dict)
    if len(requested) > 1 and connection.dialect.name == POSTGRESQL:  # one round trip in place of several
        triples = [(*key, uid) for key, uids in requested.items() for uid in uids]
        parameters = dict(zip(("accounts", "mailboxes", "uids"), zip(*triples, strict=True), strict=True))
        for row in run(connection, _READ_OF_MAILBOXES, parameters):
            found[MailboxKey(row[0], row[1])][row.uid] = parse_entry(row[2:])
        return found
    for key, uids in requested.items():
        rows = run(connection, READ_ENTRIES, {"of_account": key.account_id, "of_mailbox": key.mailbox_id, "uids": uids})
        found[key] = {row.uid: parse_entry(row) for row in rows}
    return found
