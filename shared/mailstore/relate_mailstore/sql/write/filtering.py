"""The filters of a batch of deliveries, in its transaction: evaluated before mailboxes are locked, applied after that.

A transaction makes no text of a larger message, because that may take seconds while others wait. The delivery is
refused with `TextNeeded`, and tried again once `Deliveries` has made the text in a thread.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from sqlalchemy import Connection, bindparam, select

from relate_mailstore.errors import StoreError
from relate_mailstore.filter_rules import Match, fields_of, find_matches
from relate_mailstore.filter_types import DeliveryFilter
from relate_mailstore.filtering import apply, filtered_accounts, moves
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.mailbox_names import TRASH
from relate_mailstore.search_text import message_text
from relate_mailstore.sql.deltas import MailboxName
from relate_mailstore.sql.driver.dialects import numbers, one_of
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.filters.rows import read_enabled
from relate_mailstore.sql.schema.rows import stored_name
from relate_mailstore.sql.schema.tables import mailboxes
from relate_mailstore.sql.write.group_commit import QueuedDelivery
from relate_mime import MessageIndex

INLINE_OCTETS = 64 * 1024
"""Of the messages of a batch of which a text is made in the transaction: at worst some 40 ms."""

_OF_USE = (
    select(mailboxes.c.account_id, mailboxes.c.name)
    .where(one_of(mailboxes.c.account_id, numbers("accounts")), mailboxes.c.special_use == bindparam("special_use"))
    .order_by(mailboxes.c.id.desc())  # of several the oldest remains
)

AccountFilters = Mapping[AccountId, Iterable[DeliveryFilter]]
Matches = Mapping[AccountId, Sequence[Match]]


class TextNeeded(StoreError):
    """Filters need to know which of these folded `texts` the body has."""

    def __init__(self, texts: frozenset[str]) -> None:
        super().__init__("filters need the text of the message")
        self.texts = texts


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The matches of each delivery of a batch, or why there are none yet; where filters may move messages to."""

    results: Sequence[Matches | TextNeeded] = ()
    trash: Mapping[AccountId, str] = field(default_factory=dict)

    @property
    def targets(self) -> set[MailboxName]:
        """The mailboxes to lock beside those of the destinations."""
        return {
            MailboxName(account_id, target)
            for matches in self.results
            if not isinstance(matches, TextNeeded)
            for account_id, of_account in matches.items()
            for one in moves(of_account)
            if (target := self.target(one))
        }

    def target(self, one: DeliveryFilter) -> str:
        """The name of the mailbox that a filter moves mail to; empty if the account has none for it."""
        return self.trash.get(one.key.account_id, "") if one.actions.delete else stored_name(one.actions.mailbox)


def evaluate(connection: Connection, batch: Sequence[QueuedDelivery]) -> Evaluated:
    """Evaluate the filters of a batch. One statement; none if it has nothing for an INBOX."""
    accounts = {account_id for queued in batch for account_id in filtered_accounts(queued.delivery)}
    filters = read_enabled(connection, accounts) if accounts else {}
    if not filters:
        return Evaluated()
    bodies = _Bodies()
    results = [_evaluate(queued, filters, bodies) for queued in batch]
    deleting = {
        account_id
        for matches in results
        if not isinstance(matches, TextNeeded)
        for account_id, of_account in matches.items()
        if any(one.actions.delete for one in moves(of_account))
    }
    return Evaluated(results, _find_trash(connection, deleting) if deleting else {})


def route(
    batch: Sequence[QueuedDelivery], evaluated: Evaluated, locked: Mapping[MailboxName, object]
) -> Sequence[QueuedDelivery]:
    """The batch as its filters change it, given the mailboxes that exist."""
    if not evaluated.results:
        return batch

    def find_mailbox(one: DeliveryFilter) -> str | None:
        name = evaluated.target(one)
        return name if MailboxName(one.key.account_id, name) in locked else None

    routed = []
    for queued, result in zip(batch, evaluated.results, strict=True):
        if isinstance(result, TextNeeded):
            routed.append(replace(queued, refusal=result))
        elif not any(result.values()):
            routed.append(queued)
        else:
            filtered = apply(queued.delivery, result, find_mailbox)
            routed.append(replace(queued, delivery=filtered.delivery, applied=filtered.applied))
    return routed


def find_texts(raw: bytes, index: MessageIndex, texts: Iterable[str]) -> frozenset[str]:
    """Those of these folded texts that the body of a message has; linear in the message, for each text."""
    body = message_text(raw, index.parts).body
    return frozenset(text for text in texts if text in body)


class _Bodies:
    """Looks for texts in the bodies of a batch, as far as that is known or cheap."""

    def __init__(self) -> None:
        self._room = INLINE_OCTETS
        self._made: dict[MessageId, str] = {}

    def has_text(self, text: str, queued: QueuedDelivery, needed: set[str]) -> bool:
        """Whether the body has the text; if that is not known, it is added to the `needed` ones."""
        if queued.texts is not None:
            return text in queued.texts
        body = self._made.get(queued.message_id)
        if body is None:
            raw, index = queued.delivery.raw, queued.index
            if index is None or len(raw) > self._room:
                needed.add(text)
                return False
            self._room -= len(raw)
            body = self._made[queued.message_id] = message_text(raw, index.parts).body
        return text in body


def _evaluate(queued: QueuedDelivery, filters: AccountFilters, bodies: _Bodies) -> Matches | TextNeeded:
    accounts = [account_id for account_id in filtered_accounts(queued.delivery) if account_id in filters]
    if queued.index is None or not accounts:
        return {}
    folded_subject, _, _ = queued.columns["search"].partition("\n")
    needed: set[str] = set()
    read_fields = cache(partial(fields_of, queued.index, folded_subject))
    has_text = partial(bodies.has_text, queued=queued, needed=needed)
    matches = {account_id: find_matches(filters[account_id], read_fields, has_text) for account_id in accounts}
    return TextNeeded(frozenset(needed)) if needed else matches


def _find_trash(connection: Connection, accounts: Iterable[AccountId]) -> Mapping[AccountId, str]:
    rows = run(connection, _OF_USE, {"accounts": accounts, "special_use": TRASH})
    return {AccountId(row.account_id): row.name for row in rows}
