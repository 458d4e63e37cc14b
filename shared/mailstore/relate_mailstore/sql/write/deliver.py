"""The transaction of a batch of deliveries: filter, lock the mailboxes, assign UIDs, insert the rows, the queue's too.

`plan_batch` decides everything without a database; `store_batch` evaluates the filters, locks, then inserts the planned
rows with one statement per table.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, insert

from relate_mailstore.errors import MailboxNotFound, StoreError
from relate_mailstore.event_rules import of_delivery, places_of
from relate_mailstore.event_types import Event
from relate_mailstore.keywords import one_spelling
from relate_mailstore.queue_types import Excess
from relate_mailstore.quota import check_quota, octets_by_account
from relate_mailstore.sending_rules import held_events, held_reply
from relate_mailstore.sql.deltas import Committed, MailboxDelta, MailboxName, dirty
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.filters.rows import count_applied
from relate_mailstore.sql.mailboxes import lock_by_names
from relate_mailstore.sql.schema.rows import pack_keywords, stored_name
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, entries, messages
from relate_mailstore.sql.suppressions import suppress
from relate_mailstore.sql.write.filtering import evaluate, route
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mailstore.sql.write.outgoing import QueueRows, add_outgoing, hold, store_outgoing
from relate_mailstore.sql.write.sending import count_recipients
from relate_mailstore.suppression_types import Suppression
from relate_mailstore.types import AccountId, AssignedUid, Delivery, Destination, Entry, Mailbox, MessageId, Receipt

INSERT_OCTETS = 4 * 1024 * 1024  # per statement, because the driver copies them and a message may have 50 MB

_INSERT_PARTS = insert(blobs)
_INSERT_MESSAGES = insert(messages)
_INSERT_ENTRIES = insert(entries)

Row = dict[str, Any]
DeliveryResult = Receipt | StoreError


@dataclass(slots=True)
class BatchPlan:
    """What a batch inserts, the delta of each locked mailbox, and the result of each delivery."""

    deltas: dict[MailboxName, MailboxDelta]
    stored: list[QueuedDelivery] = field(default_factory=list)
    message_rows: list[Row] = field(default_factory=list)
    entry_rows: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)
    queue_rows: QueueRows = field(default_factory=lambda: QueueRows([], []))
    results: list[DeliveryResult] = field(default_factory=list)

    @property
    def dirty_deltas(self) -> list[MailboxDelta]:
        """The deltas of mailboxes in which something arrived; more may have been locked."""
        return dirty(self.deltas.values())

    @property
    def queues(self) -> bool:
        """Whether there are recipients elsewhere."""
        return bool(self.queue_rows.recipients)


def target_mailboxes(batch: Iterable[QueuedDelivery]) -> set[MailboxName]:
    """The mailboxes that a batch is delivered to."""
    return {_target(destination) for queued in batch for destination in queued.delivery.destinations}


def accounts_with_quota(batch: Iterable[QueuedDelivery]) -> set[AccountId]:
    """The accounts of a batch that have a quota."""
    return {to.account_id for queued in batch for to in queued.delivery.destinations if to.quota is not None}


def store_batch(
    connection: Connection, batch: Sequence[QueuedDelivery], writer: EventWriter, now: float
) -> Committed[Sequence[DeliveryResult]]:
    """Store a batch that arrives `now`, in seconds since the epoch."""
    batch, locked = filter_and_lock(connection, batch)
    plan = plan_batch(batch, locked, now)
    hold_excess(connection, plan, now)
    store_plan(connection, plan, now)
    announced = writer.add(connection, plan.events)
    suppress(connection, plan.suppressions)
    return Committed(plan.results, plan.dirty_deltas, queue_changed=plan.queues, announced=announced)


def filter_and_lock(
    connection: Connection, batch: Sequence[QueuedDelivery]
) -> tuple[Sequence[QueuedDelivery], Mapping[MailboxName, Mailbox]]:
    """Lock the mailboxes of a batch and those that filters move it to; the batch as its filters change it."""
    evaluated = evaluate(connection, batch)
    locked = lock_targets(connection, batch, evaluated.targets)
    return route(batch, evaluated, locked), locked


def lock_targets(
    connection: Connection, batch: Sequence[QueuedDelivery], others: Collection[MailboxName] = ()
) -> Mapping[MailboxName, Mailbox]:
    """Lock the mailboxes of `target_mailboxes`, `others`, and all of accounts with a quota.

    No statement if there is none.
    """
    targets = target_mailboxes(batch).union(others)
    return lock_by_names(connection, targets, accounts_with_quota(batch)) if targets else {}


def hold_excess(connection: Connection, plan: BatchPlan, now: float) -> None:
    """Count the recipients elsewhere of a plan's messages, and hold the messages that exceed a limit."""
    sent = [(queued, queued.delivery.outgoing) for queued in plan.stored if queued.delivery.outgoing is not None]
    excesses = count_recipients(connection, [outgoing for _, outgoing in sent], now)
    held: dict[MessageId, Excess] = {}
    for (queued, outgoing), excess in zip(sent, excesses, strict=True):
        if excess is not None:
            held[queued.message_id] = excess
            events = held_events(outgoing, excess)
            plan.events += of_delivery(events, queued.message_id, outgoing.header_message_id, queued.delivery.origin)
    if held:
        hold(plan.queue_rows, {message_id: held_reply(excess) for message_id, excess in held.items()})
        plan.results = [
            replace(result, excess=held.get(result.message_id)) if isinstance(result, Receipt) else result
            for result in plan.results
        ]


def store_plan(connection: Connection, plan: BatchPlan, now: float) -> None:
    """Insert the rows of a plan, but neither its events nor its suppressions; count the filters that acted `now`.

    Its mailboxes must be locked.
    """
    if plan.stored:
        parts = (part for one in plan.stored for part in split(one.message_id, one.delivery.raw))
        for rows in group_rows(parts):
            run_many(connection, _INSERT_PARTS, rows)
    if plan.entry_rows:
        run_many(connection, _INSERT_MESSAGES, plan.message_rows)
        run_many(connection, _INSERT_ENTRIES, plan.entry_rows)
    count_applied(connection, [key for one in plan.stored for key in one.applied], now)
    if plan.queues:
        store_outgoing(connection, plan.queue_rows)


def plan_batch(batch: Sequence[QueuedDelivery], locked: Mapping[MailboxName, Mailbox], now: float) -> BatchPlan:
    """Enter each delivery for all its destinations and queue it, or neither. `now` is in seconds since the epoch.

    A delivery is refused if a mailbox is not among the `locked` ones, or an account would exceed its quota. All
    mailboxes of an account with a quota must be among them.
    """
    plan = BatchPlan({name: MailboxDelta(mailbox) for name, mailbox in locked.items()})
    used = _octets_used(locked.values()) if accounts_with_quota(batch) else None
    leader = batch[0].delivery.origin if batch else None
    for queued in batch:
        try:
            if queued.refusal is not None:
                raise queued.refusal
            _check(plan, used, queued.delivery)
        except StoreError as refusal:
            plan.results.append(refusal)
            continue
        entered = _enter(plan, queued, int(now))
        plan.events += _events(queued, entered)
        plan.suppressions += queued.delivery.suppressions
        outgoing = add_outgoing(plan.queue_rows, queued.message_id, queued.delivery, now)
        plan.results.append(Receipt(queued.message_id, entered, len(batch), leader, outgoing))
    return plan


def _octets_used(mailboxes: Iterable[Mailbox]) -> Counter[AccountId]:
    used = Counter[AccountId]()
    for mailbox in mailboxes:
        used[mailbox.account_id] += mailbox.octets
    return used


def _check(plan: BatchPlan, used: Counter[AccountId] | None, delivery: Delivery) -> None:
    """Raise MailboxNotFound or OverQuota if the delivery must be refused; otherwise add its octets to `used`."""
    for to in delivery.destinations:
        if _target(to) not in plan.deltas:
            raise MailboxNotFound(f"account {to.account_id}")
    if used is None:
        return
    more = octets_by_account(delivery)
    for to in delivery.destinations:
        check_quota(used[to.account_id], more[to.account_id], to.quota)
    used.update(more)


def _enter(plan: BatchPlan, queued: QueuedDelivery, now: int) -> tuple[AssignedUid, ...]:
    delivery = queued.delivery
    received = now if delivery.internal_date is None else delivery.internal_date
    row = {
        **queued.columns,
        "id": queued.message_id,
        "size": len(delivery.raw),
        "received": received,
        "origin": delivery.origin,
    }
    accounts = dict.fromkeys(to.account_id for to in delivery.destinations)
    plan.stored.append(queued)
    plan.message_rows.extend({**row, "account_id": account_id} for account_id in accounts)
    return tuple(_enter_one(plan, queued, to, received, now) for to in delivery.destinations)


def _enter_one(
    plan: BatchPlan, queued: QueuedDelivery, destination: Destination, received: int, now: int
) -> AssignedUid:
    delta = plan.deltas[_target(destination)]
    size = len(queued.delivery.raw)
    uid = delta.add_message(size, queued.delivery.origin)
    keywords = one_spelling(destination.keywords)
    flags = int(destination.flags)
    delta.changed_entries.append(Entry(uid, queued.message_id, size, flags, keywords, received, delta.modseq, now))
    plan.entry_rows.append(
        {
            "account_id": destination.account_id,
            "mailbox_id": delta.mailbox.id,
            "uid": uid,
            "message_id": queued.message_id,
            "size": size,
            "flags": flags,
            "keywords": pack_keywords(keywords),
            "internal_date": received,
            "modseq": delta.modseq,
            "saved": now,
        }
    )
    return AssignedUid(delta.mailbox.uid_validity, uid)


def _events(queued: QueuedDelivery, entered: Sequence[AssignedUid]) -> Sequence[Event]:
    delivery = queued.delivery
    outgoing = delivery.outgoing
    header_message_id = queued.columns.get("header_message_id") or (outgoing.header_message_id if outgoing else "")
    places = places_of(delivery, entered)
    return of_delivery(delivery.events, queued.message_id, header_message_id, delivery.origin, places)


def split(message_id: MessageId, raw: bytes) -> Iterator[Row]:
    """The rows of `blobs` for a raw message, without copying its octets."""
    octets = memoryview(raw)
    for part, start in enumerate(range(0, len(octets) or 1, PART_OCTETS)):
        yield {"id": message_id, "part": part, "octets": octets[start : start + PART_OCTETS]}


def group_rows(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """Rows of `blobs` in lists of at most INSERT_OCTETS and one part."""
    group: list[Row] = []
    octets = 0
    for row in rows:
        group.append(row)
        octets += len(row["octets"])
        if octets > INSERT_OCTETS:
            yield group
            group, octets = [], 0
    if group:
        yield group


def _target(destination: Destination) -> MailboxName:
    return MailboxName(destination.account_id, stored_name(destination.mailbox))
