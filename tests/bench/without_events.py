"""`relate` with an event log that stores nothing: `python -m tests.bench.without_events serve smtp`.

What events cost is the difference to `python -m relate serve smtp`.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from relate.cli import main
from relate_mailstore.event_types import Event
from relate_mailstore.sql.events.writer import EventWriter


def _add_nothing(writer: EventWriter, connection: Connection, events: Sequence[Event]) -> Sequence[object]:
    return ()


EventWriter.add = _add_nothing  # type: ignore[method-assign, assignment] # nothing but a measurement has no events

if __name__ == "__main__":
    main()
