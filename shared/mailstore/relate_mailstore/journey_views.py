"""Who may see what of a message's journey, and a step of it as it is shown. Pure.

A recipient sees the receipt and the own copy, never another recipient: neither an address nor how many there are,
because some may have been in Bcc. The sender of a submission sees all its recipients until the message is in a mailbox
or was accepted elsewhere, but not what other users do with their copies, because they have not agreed to be observed.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from relate_mailstore.event_types import NO_DETAIL, Detail, Event, EventName
from relate_mailstore.identifiers import AccountId
from relate_mailstore.journeys import COPY_EVENTS

__all__ = ["AUTHENTICATED_EVENTS", "NO_NAMES", "Names", "Step", "step_of", "visible_to"]

Names = Mapping[AccountId, str]
"""Addresses of accounts, of those that a reader may know."""

NO_NAMES: Names = MappingProxyType({})

AUTHENTICATED_EVENTS = frozenset({EventName.RECEIVED, EventName.REFUSED})
"""The events whose account is the one that has logged in to send."""

_OF_SUBMISSION = frozenset({EventName.RECEIVED, EventName.QUEUED})  # their account is the submitter's
_WITH_CLIENT = frozenset({EventName.RECEIVED, EventName.REFUSED, EventName.BOUNCED})


class Step(NamedTuple):
    """An event as it is shown; `time` is in seconds since the epoch."""

    event: str
    time: float
    service: str
    recipient: str
    reply: str
    trace_id: str
    detail: Detail


def step_of(event: Event, names: Names = NO_NAMES) -> Step:
    """An event as it is shown: its detail has the message's ids, and the client that sent it."""
    login = event.account_id if event.name in AUTHENTICATED_EVENTS else None
    added = {
        "id": None if event.message_id is None else str(event.message_id),
        "messageId": event.header_message_id,
        "sender": event.sender if event.name in _WITH_CLIENT else "",
        "client": event.client if event.name in _WITH_CLIENT else "",
        "authenticatedAs": "" if login is None else names.get(login, ""),
    }
    detail = {key: value for key, value in added.items() if value} | dict(event.detail)
    return Step(event.name.value, event.time, event.service, event.recipient, event.reply, event.trace_id, detail)


def visible_to(account_id: AccountId, events: Sequence[Event]) -> Sequence[Event]:
    """The events of one message that an account may see; none unless it has sent or got the message."""
    is_sender = any(event.name in _OF_SUBMISSION and event.account_id == account_id for event in events)
    own = [event for event in events if _is_of_copy(event) and event.account_id == account_id]
    addresses = {event.recipient for event in own if event.recipient}
    seen: list[Event] = []
    for event in events:
        if _is_of_copy(event):
            if event.account_id == account_id:
                seen.append(event)
            elif is_sender and event.name is EventName.DELIVERED:
                seen.append(event._replace(account_id=None, detail=NO_DETAIL))
        elif is_sender or (event.name is EventName.REFUSED and event.account_id == account_id):
            seen.append(event)
        elif own and event.name is EventName.RECEIVED:
            seen.append(_receipt(event, addresses))
    return seen


def _is_of_copy(event: Event) -> bool:
    return event.name is EventName.DELIVERED or event.name in COPY_EVENTS


def _receipt(event: Event, addresses: set[str]) -> Event:
    """The receipt without other recipients, and of a submission without the network address of another user."""
    return event._replace(
        account_id=None,
        recipient=event.recipient if event.recipient in addresses else "",
        client="" if event.account_id is not None else event.client,
        detail={key: value for key, value in event.detail.items() if key != "recipients"},
    )
