"""Stores the events of a change of mail in its own transaction, so that a crash forgets neither without the other."""

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from relate_mailstore.change_events import ChangedBy, deleted_events, moved_events
from relate_mailstore.event_types import Event
from relate_mailstore.sql.deltas import Committed
from relate_mailstore.sql.driver.database import Work
from relate_mailstore.sql.events.writer import EventWriter

T = TypeVar("T")


class Telling:
    """Makes work tell what it changes. `by` is the author of the change; None tells nothing."""

    def __init__(self, writer: EventWriter, by: ChangedBy | None) -> None:
        self._writer = writer
        self._by = by

    def __call__(self, work: Work[Committed[T]]) -> Work[Committed[T]]:
        """Work that stores its events as well."""
        return work if self._by is None else partial(_run_and_tell, work=work, writer=self._writer, by=self._by)


def _run_and_tell(connection: Connection, work: Work[Committed[T]], writer: EventWriter, by: ChangedBy) -> Committed[T]:
    committed = work(connection)
    writer.add(connection, [*_events_of(committed, by)])
    return committed


def _events_of(committed: Committed[Any], by: ChangedBy) -> Iterator[Event]:
    if not committed.deltas:
        return
    account_id = committed.deltas[0].mailbox.account_id  # removals and moves are of one account
    if committed.move is not None:
        yield from moved_events(by, account_id, committed.move)
    if committed.removed_messages:
        yield from deleted_events(by, account_id, committed.removed_messages)
