"""What every event log stores of an event: limits, and addresses in clear or as hashes. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from relate_mailstore.event_types import Detail, Event
from relate_mailstore.identifiers import MessageId

MAX_REPLY_CHARACTERS = 512  # the text of a reply line (RFC 5321 §4.5.3.1.5)
MAX_ADDRESS_CHARACTERS = 320  # a local part and a domain at their limits (RFC 5321 §4.5.3.1)
MAX_NAME_CHARACTERS = 256  # of Message-ID, client, service
MAX_DETAIL_CHARACTERS = 1_000  # of JSON
HASH_CHARACTERS = 16  # hexadecimal, as of `Otel__UserNames=hash`, so that events and spans have the same hash
TICK_SECONDS = 1e-6  # between the events of one commit, so that their order is that of their times

_WORD = re.compile(r"[^\s<>:;,\"'()]+")
_CUT: Detail = {"cut": True}


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
            return folded[:MAX_ADDRESS_CHARACTERS]
        return sha256(folded.encode(errors="replace")).hexdigest()[:HASH_CHARACTERS]

    def stored(self, events: Iterable[Event], now: float) -> Sequence[Event]:
        """The events of one commit as they are stored; those without a time have that of the commit."""
        return [self._stored(event, now + number * TICK_SECONDS) for number, event in enumerate(events)]

    def _stored(self, event: Event, now: float) -> Event:
        return replace(
            event,
            time=event.time or now,
            header_message_id=event.header_message_id[:MAX_NAME_CHARACTERS],
            sender=self.address(event.sender),
            recipient=self.address(event.recipient),
            client=event.client[:MAX_NAME_CHARACTERS],
            service=event.service[:MAX_NAME_CHARACTERS],
            reply=self._text(event.reply),
            detail=self._detail(event.detail),
        )

    def _text(self, text: str) -> str:
        """A text in which other servers may quote addresses."""
        cut = text[:MAX_REPLY_CHARACTERS]
        return cut if self.addresses == "clear" else _WORD.sub(self._word, cut)

    def _word(self, found: re.Match[str]) -> str:
        address = found[0].rstrip(".")
        return self.address(address) + found[0][len(address) :] if "@" in address else found[0]

    def _detail(self, detail: Detail) -> Detail:
        stored = {key: self._text(value) if isinstance(value, str) else value for key, value in detail.items()}
        return stored if len(encode_detail(stored)) <= MAX_DETAIL_CHARACTERS else _CUT


def encode_detail(detail: Detail) -> str:
    """Encode a detail; "" for none."""
    return json.dumps(detail, separators=(",", ":"), ensure_ascii=True) if detail else ""


def parse_detail(text: str) -> Detail:
    """Parse an encoded detail."""
    detail: Detail = json.loads(text) if text else {}
    return detail


def of_delivery(
    events: Iterable[Event], message_id: MessageId, header_message_id: str, origin: str | None
) -> Sequence[Event]:
    """The events of a delivery with what the store knows of it: the message and the trace, where none is given."""
    trace_id, span_id = parse_origin(origin)
    return [
        replace(
            event,
            message_id=event.message_id or message_id,
            header_message_id=event.header_message_id or ("" if event.message_id else header_message_id),
            trace_id=event.trace_id or trace_id,
            span_id=event.span_id or span_id,
        )
        for event in events
    ]


def parse_origin(origin: str | None) -> tuple[str, str]:
    """Trace id and span id of a traceparent (W3C Trace Context §3.2); empty if there is none."""
    fields = (origin or "").split("-")
    return (fields[1], fields[2]) if len(fields) == 4 else ("", "")
