"""What every event log stores of an event: limits, and addresses in clear or as hashes. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Literal

from relate_mailstore.event_types import Detail, Event, EventName, EventQuery
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.types import AssignedUid, Delivery

MAX_REPLY_CHARACTERS = 512  # the text of a reply line (RFC 5321 §4.5.3.1.5)
MAX_ADDRESS_CHARACTERS = 320  # a local part and a domain at their limits (RFC 5321 §4.5.3.1)
MAX_NAME_CHARACTERS = 256  # of Message-ID, client, service
MAX_DETAIL_CHARACTERS = 1_000  # of JSON
HASH_CHARACTERS = 16  # hexadecimal, as of `Otel__UserNames=hash`, so that events and spans have the same hash
TICK_SECONDS = 1e-6  # between the events of one commit, so that their order is that of their times

_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps makes an encoder at each call
_WORD = re.compile(r"[^\s<>:;,\"'()]+")
SHORT_KEYS = 8  # of a detail that is within the limit if its values are short, which saves encoding it twice
SHORT_CHARACTERS = 64

_ENTERED = frozenset({EventName.DELIVERED, EventName.APPENDED})

_CUT: Detail = {"cut": True}

# The events by which a message is found. Each index of the event log has those of one line only, because every entry
# of an index costs a delivery: most messages have one event in each.
HEADS_BY_MESSAGE_ID = EventName.RECEIVED, EventName.APPENDED
HEADS_BY_ACCOUNT = EventName.RECEIVED, EventName.DELIVERED, EventName.APPENDED
HEADS_BY_RECIPIENT = EventName.DELIVERED, EventName.QUEUED, EventName.REFUSED
HEADS_BY_SENDER = EventName.RECEIVED, EventName.REFUSED
HEADS_BY_TIME = EventName.RECEIVED, EventName.REFUSED, EventName.APPENDED


@dataclass(frozen=True, slots=True)
class EventRules:
    """Settings of an event log.

    `addresses` of senders and recipients are stored in clear or as plain SHA-256, of which an address that is known can
    be found, and guessed. Events older than `retention_days` are removed. Of the refusals of each client address at
    most `refused_per_client_hour` are stored, then one summary.
    """

    addresses: Literal["clear", "hash"] = "clear"
    retention_days: int = 30
    refused_per_client_hour: int = 100

    def address(self, address: str) -> str:
        """An address as it is stored, and as it is searched; case-folded, because addresses are compared so."""
        folded = address.casefold()
        if self.addresses == "clear" or not folded:
            return folded if len(folded) <= MAX_ADDRESS_CHARACTERS else folded[:MAX_ADDRESS_CHARACTERS]
        return sha256(folded.encode(errors="replace")).hexdigest()[:HASH_CHARACTERS]

    def stored(self, events: Iterable[Event], now: float) -> Sequence[Event]:
        """The events of one commit as they are stored; those without a time have that of the commit."""
        return [self._stored(event, now + number * TICK_SECONDS) for number, event in enumerate(events)]

    def _stored(self, event: Event, now: float) -> Event:
        return Event(
            event.name,
            event.time or now,
            event.account_id,
            event.message_id,
            event.header_message_id[:MAX_NAME_CHARACTERS],
            self.address(event.sender),
            self.address(event.recipient),
            event.client[:MAX_NAME_CHARACTERS],
            event.service,
            self._text(event.reply) if event.reply else "",
            self._detail(event.detail) if event.detail else event.detail,
            event.trace_id,
            event.span_id,
        )

    def _text(self, text: str) -> str:
        """A text in which other servers may quote addresses."""
        cut = text[:MAX_REPLY_CHARACTERS]
        return cut if self.addresses == "clear" else _WORD.sub(self._word, cut)

    def _word(self, found: re.Match[str]) -> str:
        address = found[0].rstrip(".")
        return self.address(address) + found[0][len(address) :] if "@" in address else found[0]

    def _detail(self, detail: Detail) -> Detail:
        if self.addresses == "clear" and len(detail) <= SHORT_KEYS and all(map(_is_short, detail.values())):
            return detail
        stored = {key: self._text(value) if isinstance(value, str) else value for key, value in detail.items()}
        return stored if len(encode_detail(stored)) <= MAX_DETAIL_CHARACTERS else _CUT


def _is_short(value: str | float | None) -> bool:
    return not isinstance(value, str) or (len(value) <= SHORT_CHARACTERS and value.isascii())


def head_names(query: EventQuery) -> tuple[EventName, ...]:
    """The events that a query for heads searches, by the most selective value that it has."""
    if query.header_message_id is not None:
        return HEADS_BY_MESSAGE_ID
    if query.account_id is not None:
        return HEADS_BY_ACCOUNT
    if query.recipient is not None:
        return HEADS_BY_RECIPIENT
    return HEADS_BY_TIME if query.sender is None else HEADS_BY_SENDER


def encode_detail(detail: Detail) -> str:
    """Encode a detail; "" for none."""
    return _encode(detail) if detail else ""


def parse_detail(text: str) -> Detail:
    """Parse an encoded detail."""
    detail: Detail = json.loads(text) if text else {}
    return detail


def of_own_message(account_id: AccountId, address: str, service: str, octets: int) -> tuple[Event, ...]:
    """The events of a message that a service writes to a user, such as a delivery report."""
    return (
        Event(EventName.RECEIVED, recipient=address, service=service, detail={"octets": octets, "recipients": 1}),
        Event(EventName.DELIVERED, account_id=account_id, recipient=address, service=service),
    )


def places_of(delivery: Delivery, entered: Sequence[AssignedUid]) -> Mapping[AccountId, Detail]:
    """Where a message was entered, by account. `entered` has one UID per destination."""
    return {
        to.account_id: {"mailbox": to.mailbox, "uid": one.uid}
        for to, one in zip(delivery.destinations, entered, strict=True)
    }


def of_delivery(
    events: Iterable[Event],
    message_id: MessageId,
    header_message_id: str,
    origin: str | None,
    places: Mapping[AccountId, Detail] = MappingProxyType({}),
) -> Sequence[Event]:
    """The events of a delivery with what the store knows: the message, the trace, and where it was entered.

    An event about another message, which the delivery reports on, keeps that.
    """
    trace_id, span_id = parse_origin(origin)
    return [
        event._replace(
            message_id=event.message_id or message_id,
            header_message_id=event.header_message_id or ("" if event.message_id else header_message_id),
            detail=_with_place(event, places),
            trace_id=event.trace_id or trace_id,
            span_id=event.span_id or span_id,
        )
        for event in events
    ]


def _with_place(event: Event, places: Mapping[AccountId, Detail]) -> Detail:
    place = places.get(event.account_id) if event.name in _ENTERED and event.account_id is not None else None
    return event.detail if place is None else {**place, **event.detail}


def parse_origin(origin: str | None) -> tuple[str, str]:
    """Trace id and span id of a traceparent (W3C Trace Context §3.2); empty if there is none."""
    fields = (origin or "").split("-")
    return (fields[1], fields[2]) if len(fields) == 4 else ("", "")
