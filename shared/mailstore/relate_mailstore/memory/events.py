"""`EventLog` in memory."""

from collections.abc import Callable, Iterable, Sequence

from relate_mailstore.event_rules import EventRules, head_names
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.refusals import RefusalLimit


class MemoryEventLog:
    """`EventLog` without persistence. `clock` returns seconds since the epoch. `on_stored` gets what was stored."""

    def __init__(
        self, rules: EventRules, clock: Callable[[], float], on_stored: Callable[[Sequence[Event]], None]
    ) -> None:
        self._rules = rules
        self._on_stored = on_stored
        self._clock = clock
        self._limit = RefusalLimit(rules.refused_per_client_hour)
        self._events: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        """Store the events of one commit."""
        stored = self._rules.stored(events, self._clock())
        self._events += stored
        self._on_stored(stored)

    def read(self, events: Iterable[Event]) -> None:
        """Store the first read of each account's message."""
        known = {(event.account_id, event.message_id) for event in self._events if event.name is EventName.READ}
        self.add(event for event in events if (event.account_id, event.message_id) not in known)

    def refused(self, events: Sequence[Event]) -> None:
        """Store refusals up to the limit."""
        self.add(self._limit.turn(self._clock()))
        self.add(event for event in events if self._limit.admit(event))

    async def flush(self) -> None:
        """Do nothing: refusals are stored at once."""

    async def find(self, query: EventQuery) -> Sequence[Event]:
        """The newest events that match, in the order of their times."""
        found = sorted((event for event in self._events if self._matches(event, query)), key=lambda event: event.time)
        return found[max(0, len(found) - query.limit) :]

    async def trim(self, before: float) -> int:
        """Remove old events."""
        kept = [event for event in self._events if event.time >= before]
        removed, self._events = len(self._events) - len(kept), kept
        return removed

    def _matches(self, event: Event, query: EventQuery) -> bool:
        return (
            query.name in {None, event.name}
            and query.message_id in {None, event.message_id}
            and query.header_message_id in {None, event.header_message_id}
            and (query.recipient is None or self._rules.address(query.recipient) == event.recipient)
            and (query.sender is None or self._rules.address(query.sender) == event.sender)
            and query.account_id in {None, event.account_id}
            and event.time >= query.since
            and (query.before is None or event.time < query.before)
            and (query.message_ids is None or event.message_id in query.message_ids)
            and (not query.heads or event.name in head_names(query))
        )
