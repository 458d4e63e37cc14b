"""The journey of a message: its events in order, and the one end state of each recipient. Pure.

The rules, in their order; the first that applies decides, so that the order in which events arrive does not matter:

1. `bounced`: a later server has returned it, even if the next one had accepted it before.
2. `relayed`, `expired`, `cancelled`: the queue is done with it. Attempts are made at least once, so that what was
   accepted elsewhere outranks what the queue gave up.
3. `deleted`: no mailbox of the account has it any more, and none ever will again, because ids are not reused.
4. `read`, `delivered`, `appended`: it lies in a mailbox.
5. `held` or `queued`: by the last event that held or queued it. An attempt, or a deferral, ends no hold.
6. `received`: accepted; its other events were trimmed.
7. `refused`: nothing of the above, because a client may be refused first and accepted when it tries again.

Events about a copy in a mailbox are stored with an account and no recipient: they are of the recipients for which the
message was delivered to that account, and shown with the first of them. Without one the copy has no address, like one
that its owner's client has appended.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import AccountId, MessageId

__all__ = ["COPY_EVENTS", "End", "EndState", "Journey", "find_end", "journeys_of"]


class EndState(StrEnum):
    """Where a message is, for one recipient."""

    RECEIVED = "received"
    REFUSED = "refused"
    DELIVERED = "delivered"
    APPENDED = "appended"
    READ = "read"
    DELETED = "deleted"
    QUEUED = "queued"
    HELD = "held"
    RELAYED = "relayed"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


COPY_EVENTS = frozenset({EventName.APPENDED, EventName.FILTERED, EventName.READ, EventName.MOVED, EventName.DELETED})
"""The events of a copy in a mailbox, which has an account, and is its owner's business alone."""

_FINAL: Mapping[EventName, EndState] = MappingProxyType(
    {
        EventName.BOUNCED: EndState.BOUNCED,
        EventName.RELAYED: EndState.RELAYED,
        EventName.EXPIRED: EndState.EXPIRED,
        EventName.CANCELLED: EndState.CANCELLED,
        EventName.DELETED: EndState.DELETED,
        EventName.READ: EndState.READ,
        EventName.DELIVERED: EndState.DELIVERED,
        EventName.APPENDED: EndState.APPENDED,
        EventName.MOVED: EndState.DELIVERED,
        EventName.FILTERED: EndState.DELIVERED,
    }
)
"""Rules 1 to 4."""

_WAITING: Mapping[EventName, EndState] = MappingProxyType(
    {EventName.QUEUED: EndState.QUEUED, EventName.RELEASED: EndState.QUEUED, EventName.HELD: EndState.HELD}
)
"""Rule 5, but for mail whose older events were trimmed."""

_OTHER: Mapping[EventName, EndState] = MappingProxyType(
    {
        EventName.DEFERRED: EndState.QUEUED,
        EventName.ATTEMPTED: EndState.QUEUED,
        EventName.RECEIVED: EndState.RECEIVED,
        EventName.REFUSED: EndState.REFUSED,
    }
)
"""The end of rule 5, where the older events were trimmed, and rules 6 and 7."""

_ORDER = {name: place for place, name in enumerate(EventName)}  # of events at the same time


class End(NamedTuple):
    """The end state of a recipient, and the event that decided it. `recipient` is empty for a copy without one."""

    recipient: str
    state: EndState
    event: Event


@dataclass(frozen=True, slots=True)
class Journey:
    """The events of one message, by time, and the end of each recipient, by address."""

    events: Sequence[Event]
    ends: Sequence[End]

    @property
    def message_id(self) -> MessageId | None:
        """The message; None for a refusal, because nothing was stored."""
        return self.events[0].message_id

    @property
    def header_message_id(self) -> str:
        """The Message-ID, if an event has it."""
        return next((event.header_message_id for event in self.events if event.header_message_id), "")

    @property
    def sender(self) -> str:
        """The reverse-path of the first event."""
        return self.events[0].sender


def journeys_of(events: Iterable[Event]) -> list[Journey]:
    """The journeys of messages, by their first events; an event without a message is a journey of its own."""
    by_message: defaultdict[MessageId, list[Event]] = defaultdict(list)
    found: list[list[Event]] = []
    for event in sorted(events, key=_place):
        if event.message_id is None:
            found.append([event])
            continue
        of_message = by_message[event.message_id]
        if not of_message:
            found.append(of_message)
        of_message.append(event)
    return [_journey(of_message) for of_message in found]


def find_end(events: Sequence[Event]) -> tuple[EndState, Event]:
    """The end state of one recipient by its events, at least one, in any order, and the event that decided it."""
    by_time = sorted(events, key=_place)
    first = {event.name: event for event in reversed(by_time)}
    for name, state in _FINAL.items():
        if name in first:
            return state, first[name]
    waiting = [event for event in by_time if event.name in _WAITING]
    if waiting:
        return _WAITING[waiting[-1].name], waiting[-1]
    name = next(name for name in _OTHER if name in first)
    return _OTHER[name], first[name]


def _place(event: Event) -> tuple[float, int]:
    return event.time, _ORDER[event.name]


def _journey(events: Iterable[Event]) -> Journey:
    """The journey of one message's events, which are in order."""
    ordered = tuple(events)
    recipients: defaultdict[AccountId | None, list[str]] = defaultdict(list)
    for event in ordered:
        if event.name is EventName.DELIVERED and event.account_id is not None:
            recipients[event.account_id].append(event.recipient)
    named = tuple(
        event._replace(recipient=recipients[event.account_id][0])
        if event.name in COPY_EVENTS and event.account_id in recipients
        else event
        for event in ordered
    )
    return Journey(named, _ends(named, recipients))


def _ends(events: Sequence[Event], delivered: Mapping[AccountId | None, Sequence[str]]) -> Sequence[End]:
    """The ends of one message's recipients; `delivered` are those of each account."""
    of_recipient: defaultdict[tuple[str, AccountId | None], list[Event]] = defaultdict(list)
    for event in events:
        if event.name is EventName.RECEIVED:
            continue  # of all recipients
        if event.name not in COPY_EVENTS:
            of_recipient[event.recipient, None].append(event)
        elif event.account_id in delivered:
            for address in set(delivered[event.account_id]):
                of_recipient[address, None].append(event)
        else:
            of_recipient["", event.account_id].append(event)
    if not of_recipient:
        of_recipient[events[0].recipient, None] += events
    ends = [End(recipient, *find_end(theirs)) for (recipient, _), theirs in of_recipient.items()]
    return sorted(ends, key=lambda end: end.recipient)
