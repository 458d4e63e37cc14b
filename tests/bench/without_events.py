"""`relate` with an event log that stores nothing: `python -m tests.bench.without_events serve smtp`.

What events cost is the difference to `python -m relate serve smtp`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from relate.cli import main
from relate_mailstore.event_types import Event
from relate_mailstore.sql.events.writer import EventWriter


def store_no_events() -> None:
    """From now on, the transactions of this process add no events, as if they had none."""
    add = EventWriter.add

    def add_nothing(writer: EventWriter, connection: Connection, events: Sequence[Event]) -> Any:
        return add(writer, connection, ())

    EventWriter.add = add_nothing  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    store_no_events()
    main()
