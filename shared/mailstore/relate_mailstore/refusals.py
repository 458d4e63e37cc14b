"""How many refusals are stored: of each client a number per hour, then one summary. Pure.

Refusals cost a stranger nothing, so what they cost us is bounded: in memory a number per client and hour, of at most
MAX_CLIENTS, and in the log at most MAX_ROWS_PER_HOUR.
"""

from collections import Counter
from collections.abc import Sequence

from relate_mailstore.event_types import Event, EventName

HOUR_SECONDS = 3600
MAX_CLIENTS = 10_000  # counted by their address; further ones are counted together
MAX_ROWS_PER_HOUR = 50_000  # of single refusals, whatever the number of clients: 14 a second
OTHERS = ""  # the client of the summary of all that were counted together


class RefusalLimit:
    """Counts the refusals of the present hour."""

    def __init__(self, per_client_hour: int) -> None:
        self._per_client_hour = per_client_hour
        self._hour: int | None = None
        self._seen = Counter[str]()
        self._omitted = Counter[str]()
        self._rows = 0

    @property
    def ends(self) -> float | None:
        """When the summaries are due, in seconds since the epoch; None if nothing was omitted."""
        return (self._hour + 1) * HOUR_SECONDS if self._omitted and self._hour is not None else None

    def admit(self, event: Event) -> bool:
        """Whether a refusal is stored by itself. It is counted either way."""
        client = event.client if event.client in self._seen or len(self._seen) < MAX_CLIENTS else OTHERS
        self._seen[client] += 1
        admitted = self._seen[client] <= self._per_client_hour and self._rows < MAX_ROWS_PER_HOUR
        if admitted:
            self._rows += 1
        else:
            self._omitted[client] += 1
        return admitted

    def omit(self, event: Event) -> None:
        """Count a refusal that was admitted and cannot be stored."""
        self._omitted[event.client if event.client in self._seen else OTHERS] += 1

    def turn(self, now: float) -> Sequence[Event]:
        """Begin the hour of this time, in seconds since the epoch, and summarise the one before if it has ended."""
        hour = int(now // HOUR_SECONDS)
        if hour == self._hour:
            return ()
        summaries = self.end(now)
        self._hour = hour
        return summaries

    def end(self, now: float) -> Sequence[Event]:
        """End the hour: a summary of each client of which refusals were omitted."""
        began = (self._hour or 0) * HOUR_SECONDS
        summaries = [
            Event(EventName.REFUSED, now, client=client, detail={"omitted": omitted, "since": began})
            for client, omitted in self._omitted.items()
        ]
        self._seen.clear()
        self._omitted.clear()
        self._rows = 0
        return summaries
