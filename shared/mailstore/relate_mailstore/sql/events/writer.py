"""Inserts events, within the transaction of what they tell of."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, insert

from relate_mailstore.event_rules import EventRules, encode_detail, parse_detail
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.sql.deltas import NOTHING_ANNOUNCED, Announced
from relate_mailstore.sql.driver.statements import run_many
from relate_mailstore.sql.events.outcomes import add_outcomes
from relate_mailstore.sql.events.webhook_outbox import add_webhook_deliveries
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import message_events
from relate_mailstore.types import AccountId, MessageId

_ADD = insert(message_events)


class EventWriter:
    """Stores events by the rules of a log. `clock` returns seconds since the epoch."""

    def __init__(self, rules: EventRules, clock: Callable[[], float]) -> None:
        self.rules = rules
        self._clock = clock

    def add(self, connection: Connection, events: Sequence[Event]) -> Announced:
        """Insert the events of one transaction, with one statement, and what webhooks are told; none without events.

        Returns what `Committed` announces.
        """
        if not events:
            return NOTHING_ANNOUNCED
        stored = self.rules.stored(events, self._clock())
        self.add_stored(connection, stored)
        has_deliveries = add_webhook_deliveries(connection, stored, self._clock())
        return Announced(add_outcomes(connection, stored), has_deliveries)

    def add_stored(self, connection: Connection, events: Sequence[Event]) -> None:
        """Insert events to which the rules were applied before."""
        run_many(connection, _ADD, [_row(event) for event in events])


def parse_event(row: Any) -> Event:
    """Parse a row of `message_events`."""
    return Event(
        EventName(row.name),
        row.time,
        None if row.account_id is None else AccountId(row.account_id),
        None if row.message_id is None else MessageId(row.message_id),
        row.header_message_id,
        row.sender,
        row.recipient,
        row.client,
        row.service,
        row.reply,
        parse_detail(row.detail),
        row.trace_id,
        row.span_id,
    )


def _row(event: Event) -> dict[str, object]:
    return {
        "time": event.time,
        "name": event.name.value,
        "account_id": event.account_id,
        "message_id": event.message_id,
        "header_message_id": storable(event.header_message_id),
        "sender": storable(event.sender),
        "recipient": storable(event.recipient),
        "client": storable(event.client),
        "service": event.service,
        "reply": storable(event.reply),
        "detail": encode_detail(event.detail),
        "trace_id": event.trace_id,
        "span_id": event.span_id,
    }
