"""The one transaction of a batch of deliveries: mailboxes locked, UIDs handed out, rows inserted.

`plan_batch` decides everything and needs no database; `store_batch` locks first and inserts what the plan says, each
kind of row with one statement.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert

from relate_mailstore.errors import MailboxNotFound, StoreError
from relate_mailstore.keywords import one_spelling
from relate_mailstore.quota import check_quota, octets_by_account
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.mailboxes import Place, Step, lock_places
from relate_mailstore.sql.schema.rows import pack_keywords, stored_name
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, entries, messages
from relate_mailstore.sql.write.expunge import Committed
from relate_mailstore.sql.write.group_commit import Accepted, Outcome
from relate_mailstore.types import AccountId, AssignedUid, Delivery, Destination, Entry, Mailbox, MessageId, Receipt

PORTION_OCTETS = 4 * 1024 * 1024  # handed to the driver at a time: it copies, and a message may have 50 MB

_INSERT_PARTS = insert(blobs)
_INSERT_MESSAGES = insert(messages)
_INSERT_ENTRIES = insert(entries)

Row = dict[str, Any]


@dataclass(slots=True)
class Plan:
    """What a batch does: its rows, a step for each mailbox, and an outcome for each delivery."""

    steps: dict[Place, Step]
    stored: list[Accepted] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def taken(self) -> list[Step]:
        """The steps that were taken: more mailboxes may have been locked than something arrived in."""
        return [step for step in self.steps.values() if step.taken]


def places(batch: Iterable[Accepted]) -> set[Place]:
    """The mailboxes that a batch goes to."""
    return {_place(destination) for accepted in batch for destination in accepted.delivery.destinations}


def limited(batch: Iterable[Accepted]) -> set[AccountId]:
    """The accounts with a quota among those that a batch goes to."""
    return {to.account_id for accepted in batch for to in accepted.delivery.destinations if to.quota is not None}


def store_batch(connection: Connection, batch: Sequence[Accepted]) -> Committed[Sequence[Outcome]]:
    """Store a batch; an outcome for each delivery."""
    plan = plan_batch(batch, lock_places(connection, places(batch), limited(batch)), int(time.time()))
    store_plan(connection, plan)
    return Committed(plan.outcomes, plan.taken)


def store_plan(connection: Connection, plan: Plan) -> None:
    """Insert what a plan says, its mailboxes being locked."""
    if plan.stored:
        for portion in portions(part for one in plan.stored for part in split(one.message_id, one.delivery.raw)):
            run_many(connection, _INSERT_PARTS, portion)
        run_many(connection, _INSERT_MESSAGES, plan.messages)
        run_many(connection, _INSERT_ENTRIES, plan.entries)


def plan_batch(batch: Sequence[Accepted], found: Mapping[Place, Mailbox], now: int) -> Plan:
    """Enter each delivery for all its destinations, or for none.

    None where the mailbox of one is not among the `found`, or its account would exceed its quota: all mailboxes of an
    account with a quota are among the `found`.
    """
    plan = Plan({place: Step(mailbox) for place, mailbox in found.items()})
    held = _octets_held(found.values()) if limited(batch) else None
    leader = batch[0].delivery.origin
    for accepted in batch:
        try:
            _check(plan, held, accepted.delivery)
        except StoreError as refusal:
            plan.outcomes.append(refusal)
            continue
        entered = _enter(plan, accepted, now)
        plan.outcomes.append(Receipt(accepted.message_id, entered, len(batch), leader))
    return plan


def _octets_held(mailboxes: Iterable[Mailbox]) -> Counter[AccountId]:
    held = Counter[AccountId]()
    for mailbox in mailboxes:
        held[mailbox.account_id] += mailbox.octets
    return held


def _check(plan: Plan, held: Counter[AccountId] | None, delivery: Delivery) -> None:
    """Raise MailboxNotFound or OverQuota for a delivery that cannot be entered; `held` counts those that can."""
    for to in delivery.destinations:
        if _place(to) not in plan.steps:
            raise MailboxNotFound(f"account {to.account_id}")
    if held is None:
        return
    more = octets_by_account(delivery)
    for to in delivery.destinations:
        check_quota(held[to.account_id], more[to.account_id], to.quota)
    held.update(more)


def _enter(plan: Plan, accepted: Accepted, now: int) -> tuple[AssignedUid, ...]:
    delivery = accepted.delivery
    received = now if delivery.internal_date is None else delivery.internal_date
    fixed = {
        **accepted.columns,
        "id": accepted.message_id,
        "size": len(delivery.raw),
        "received": received,
        "origin": delivery.origin,
    }
    accounts = dict.fromkeys(to.account_id for to in delivery.destinations)
    plan.stored.append(accepted)
    plan.messages.extend({**fixed, "account_id": account_id} for account_id in accounts)
    return tuple(_enter_one(plan, accepted, to, received, now) for to in delivery.destinations)


def _enter_one(plan: Plan, accepted: Accepted, destination: Destination, received: int, now: int) -> AssignedUid:
    step = plan.steps[_place(destination)]
    size = len(accepted.delivery.raw)
    uid = step.arrive(size, accepted.delivery.origin)
    keywords = one_spelling(destination.keywords)
    flags = int(destination.flags)
    step.entries.append(Entry(uid, accepted.message_id, size, flags, keywords, received, step.modseq, now))
    plan.entries.append(
        {
            "account_id": destination.account_id,
            "mailbox_id": step.mailbox.id,
            "uid": uid,
            "message_id": accepted.message_id,
            "size": size,
            "flags": flags,
            "keywords": pack_keywords(keywords),
            "internal_date": received,
            "modseq": step.modseq,
            "saved": now,
        }
    )
    return AssignedUid(step.mailbox.uid_validity, uid)


def split(message_id: MessageId, raw: bytes) -> Iterator[Row]:
    """The rows of `blobs` for a raw message, its octets not copied."""
    octets = memoryview(raw)
    for part, start in enumerate(range(0, len(octets) or 1, PART_OCTETS)):
        yield {"id": message_id, "part": part, "octets": octets[start : start + PART_OCTETS]}


def portions(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """Rows of `blobs` in lists of PORTION_OCTETS at most (and one part)."""
    portion: list[Row] = []
    octets = 0
    for row in rows:
        portion.append(row)
        octets += len(row["octets"])
        if octets > PORTION_OCTETS:
            yield portion
            portion, octets = [], 0
    if portion:
        yield portion


def _place(destination: Destination) -> Place:
    return destination.account_id, stored_name(destination.mailbox)
