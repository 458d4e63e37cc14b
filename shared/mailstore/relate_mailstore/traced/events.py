"""The telemetry decorator of the event log: refusals get the trace in which they were answered."""

from collections.abc import Sequence

from relate_mailstore.event_rules import parse_origin
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.ports import EventLog
from relate_mailstore.traced.operations import Operations


class TracedEventLog:
    """`EventLog` that delegates to another one. Its calls have no spans of their own."""

    def __init__(self, events: EventLog, operations: Operations) -> None:
        self._events = events
        self._operations = operations

    def refused(self, events: Sequence[Event]) -> None:
        """Adds the trace of the current span."""
        trace_id, span_id = parse_origin(self._operations.origin())
        self._events.refused([event._replace(trace_id=trace_id, span_id=span_id) for event in events])

    async def flush(self) -> None:
        """See `EventLog`."""
        await self._events.flush()

    async def find(self, query: EventQuery) -> Sequence[Event]:
        """See `EventLog`."""
        return await self._events.find(query)

    async def trim(self, before: float) -> int:
        """See `EventLog`."""
        return await self._events.trim(before)
