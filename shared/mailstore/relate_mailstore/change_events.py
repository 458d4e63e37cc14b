"""What the event log tells of changes that services make for an owner of mail: appended, read, moved, deleted. Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from relate_mailstore.entry_columns import Entry
from relate_mailstore.event_rules import parse_origin
from relate_mailstore.event_types import NO_DETAIL, Detail, Event, EventName
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.types import Flag

MAX_TOLD_MESSAGES = 1_000
"""Messages of one command that have an event of their own, about 20 ms; of the others one event tells the number."""


_SEEN = int(Flag.SEEN)


class ChangedBy(NamedTuple):
    """The service that makes a change, and the trace in which it does; empty without telemetry."""

    service: str
    trace_id: str = ""
    span_id: str = ""

    def event(
        self, name: EventName, account_id: AccountId, message_id: MessageId | None, detail: Detail = NO_DETAIL
    ) -> Event:
        """An event of this change."""
        return Event(
            name,
            account_id=account_id,
            message_id=message_id,
            service=self.service,
            detail=detail,
            trace_id=self.trace_id,
            span_id=self.span_id,
        )


class Actor(NamedTuple):
    """A service that changes mail by a store. `origin` returns the traceparent of the current span, None without."""

    service: str
    origin: Callable[[], str | None] = lambda: None

    def changes(self) -> ChangedBy:
        """The author of a change that begins now."""
        return ChangedBy(self.service, *parse_origin(self.origin()))


class Move(NamedTuple):
    """Entries, as they are in the mailbox to which they were moved, and the names of both mailboxes."""

    source: str
    target: str
    entries: Sequence[Entry]


def appended_event(by: ChangedBy, account_id: AccountId) -> Event:
    """A message that a client stores; the store adds which, and where."""
    return by.event(EventName.APPENDED, account_id, None)


def deleted_events(by: ChangedBy, account_id: AccountId, message_ids: Collection[MessageId]) -> list[Event]:
    """Messages of which the account has no entry left."""
    told = (by.event(EventName.DELETED, account_id, message_id) for message_id in message_ids)
    return _bounded(by, EventName.DELETED, account_id, told, len(message_ids))


def moved_events(by: ChangedBy, account_id: AccountId, move: Move) -> list[Event]:
    """Messages that are in another mailbox now."""
    told = (
        by.event(
            EventName.MOVED, account_id, entry.message_id, {"from": move.source, "to": move.target, "uid": entry.uid}
        )
        for entry in move.entries
    )
    return _bounded(by, EventName.MOVED, account_id, told, len(move.entries))


def read_events(by: ChangedBy, account_id: AccountId, changed: Iterable[tuple[Entry, Entry]]) -> list[Event]:
    """Messages that \\Seen was set for, of entries before and after a change."""
    seen = [after.message_id for before, after in changed if after.flags & _SEEN and not before.flags & _SEEN]
    told = (by.event(EventName.READ, account_id, message_id) for message_id in seen)
    return _bounded(by, EventName.READ, account_id, told, len(seen))


def _bounded(by: ChangedBy, name: EventName, account_id: AccountId, told: Iterable[Event], count: int) -> list[Event]:
    events = [*islice(told, MAX_TOLD_MESSAGES)]
    if count > MAX_TOLD_MESSAGES:
        events.append(by.event(name, account_id, None, {"omitted": count - MAX_TOLD_MESSAGES}))
    return events
