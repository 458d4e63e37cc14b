"""What happened to messages: the values of the event log. An event has neither a subject nor a body."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from relate_mailstore.identifiers import AccountId, MessageId

__all__ = ["NO_DETAIL", "Detail", "Event", "EventName", "EventQuery"]

Detail = Mapping[str, str | int | float | bool | None]
NO_DETAIL: Detail = MappingProxyType({})


class EventName(StrEnum):
    """What happened."""

    RECEIVED = "received"  # we answered 250 to the content, or have written it
    REFUSED = "refused"  # we answered 4xx or 5xx to a command of a client
    FILTERED = "filtered"  # a filter of the recipient has acted, or could not
    DELIVERED = "delivered"  # entered in a mailbox here
    QUEUED = "queued"  # queued for a recipient elsewhere
    ATTEMPTED = "attempted"  # an attempt to deliver it elsewhere has begun
    RELAYED = "relayed"  # the next server has accepted it
    DEFERRED = "deferred"  # an attempt failed for now
    BOUNCED = "bounced"  # refused by the next server, or returned by a later one
    EXPIRED = "expired"  # no attempt succeeded in time
    HELD = "held"  # waits for an operator
    RELEASED = "released"  # queued again by an operator
    CANCELLED = "cancelled"  # dropped by an operator
    APPENDED = "appended"  # stored in a mailbox by its owner's client
    READ = "read"  # \Seen for the first time
    MOVED = "moved"  # to another mailbox
    DELETED = "deleted"  # removed from the last mailbox of an account


class Event(NamedTuple):
    """One event; empty values are unknown. `time` is in seconds since the epoch, 0 for the time of the commit.

    `header_message_id` has no angle brackets. `client` is an IP address. `reply` is what was answered, with its code.
    What exceeds the limits of `event_rules` is cut when the event is stored.
    """

    name: EventName
    time: float = 0.0
    account_id: AccountId | None = None
    message_id: MessageId | None = None
    header_message_id: str = ""
    sender: str = ""
    recipient: str = ""
    client: str = ""
    service: str = ""
    reply: str = ""
    detail: Detail = NO_DETAIL
    trace_id: str = ""
    span_id: str = ""


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events to find; None matches any. Addresses match in any case.

    Times are in seconds since the epoch: from `since` on, and earlier than `before`. With `heads` only the events by
    which messages are found are searched (`event_rules.head_names`), which costs one look into an index for each of
    header_message_id, account_id, recipient and sender; without it, only message_id, message_ids and `time` have one.
    """

    name: EventName | None = None
    message_id: MessageId | None = None
    header_message_id: str | None = None
    recipient: str | None = None
    sender: str | None = None
    account_id: AccountId | None = None
    since: float = 0.0
    limit: int = 100
    before: float | None = None
    message_ids: Collection[MessageId] | None = None
    heads: bool = False
