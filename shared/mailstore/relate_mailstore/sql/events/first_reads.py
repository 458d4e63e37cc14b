"""`FirstReads`: the events `read` that wait to be stored, one of each account's message.

A change of flags is one statement that does not wait for the disk (docs/decisions/0007), so its events have no
transaction to share. They are stored half a second later, with the refusals, if the log has none of that message yet.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import Connection, literal_column, select

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.sql.driver.dialects import ids, one_of
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.events.writer import EventWriter
from relate_mailstore.sql.schema.tables import message_events

MAX_WAITING_EVENTS = 5_000  # about 2 MB
BATCH_EVENTS = 500

_READ_BEFORE = select(message_events.c.account_id, message_events.c.message_id).where(
    one_of(message_events.c.message_id, ids("message_ids")),
    message_events.c.name == literal_column(f"'{EventName.READ}'"),
)

_Key = tuple[AccountId | None, MessageId | None]


class FirstReads:
    """Events in bounded memory; what exceeds it is counted, and told by one event."""

    def __init__(self, writer: EventWriter) -> None:
        self._writer = writer
        self._waiting: dict[_Key, Event] = {}
        self._omitted = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, events: Iterable[Event], now: float) -> None:
        """Add events that happened `now`, in seconds since the epoch; of the same message only the first."""
        for event in events:
            key = event.account_id, event.message_id
            if key in self._waiting:
                continue
            if len(self._waiting) < MAX_WAITING_EVENTS:
                self._waiting[key] = event._replace(time=now)
            else:
                self._omitted += 1

    def batch(self) -> Sequence[Event]:
        """The events to store next; with the last ones, how many were omitted."""
        events = [*islice(self._waiting.values(), BATCH_EVENTS)]
        if self._omitted and len(events) == len(self._waiting):
            events.append(Event(EventName.READ, events[-1].time, detail={"omitted": self._omitted}))
        return events

    def store(self, connection: Connection, events: Sequence[Event]) -> None:
        """Insert those of messages that no earlier event tells of as read."""
        message_ids = [event.message_id for event in events if event.message_id is not None]
        known = {(row[0], row[1]) for row in run(connection, _READ_BEFORE, {"message_ids": message_ids})}
        new = [event for event in events if (event.account_id, event.message_id) not in known]
        self._writer.add(connection, new)

    def stored(self, events: Sequence[Event]) -> None:
        """Forget events that were stored."""
        for event in events:
            if self._waiting.pop((event.account_id, event.message_id), None) is None:
                self._omitted -= int(event.detail["omitted"] or 0)
