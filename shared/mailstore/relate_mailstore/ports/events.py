"""The event log."""

from collections.abc import Sequence
from typing import Protocol

from relate_mailstore.event_types import Event, EventQuery


class EventLog(Protocol):
    """What happened to messages. Deliveries and results of attempts store their events in their own transaction.

    Operators' changes of the queue add their events themselves.
    """

    def refused(self, events: Sequence[Event]) -> None:
        """Store refusals soon after the replies, without waiting for the disk.

        At most a number for each client address and hour; then one summary, whose detail has the number of `omitted`.
        """

    async def flush(self) -> None:
        """Store the refusals that wait. Raises StoreUnavailable."""

    async def find(self, query: EventQuery) -> Sequence[Event]:
        """The newest events that match, in the order of their times. Raises StoreUnavailable."""

    async def trim(self, before: float) -> int:
        """Remove the events of before this time, in seconds since the epoch; how many.

        On PostgreSQL those of whole days (UTC), with their partitions. Raises StoreUnavailable.
        """
