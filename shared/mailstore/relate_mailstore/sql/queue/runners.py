"""The relays that run, and the end of the leases of those that do not.

A claim and a beat both write the row of the runner, so that the end of its leases waits for a claim that is not yet
committed, and sees what it took.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, Insert, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from relate_mailstore.queue_types import QueueState, RecipientId
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, one_of, texts
from relate_mailstore.sql.driver.statements import run
from relate_mailstore.sql.schema.tables import queue_recipients, queue_runners


def _beat_by_dialect() -> dict[str, Insert]:
    first = {"name": bindparam("new_runner"), "beats": 1}
    following = {"beats": queue_runners.c.beats + 1}
    return {
        POSTGRESQL: postgresql.insert(queue_runners)
        .values(first)
        .on_conflict_do_update(index_elements=["name"], set_=following),
        SQLITE: sqlite.insert(queue_runners)
        .values(first)
        .on_conflict_do_update(index_elements=["name"], set_=following),
    }


BEAT = _beat_by_dialect()
"""Counts a beat of the runner `new_runner`."""

_BEATS = select(queue_runners.c.name, queue_runners.c.beats)
_FORGET = delete(queue_runners).where(one_of(queue_runners.c.name, texts("runners")))
_LEASED = select(queue_recipients.c.id).where(
    queue_recipients.c.state == bindparam("leased"), one_of(queue_recipients.c.runner, texts("runners"))
)


def beat(connection: Connection, runner: str) -> Mapping[str, int]:
    """Count a beat of a runner; the beats of all."""
    run(connection, BEAT[connection.dialect.name], {"new_runner": runner})
    return {row.name: row.beats for row in run(connection, _BEATS, {})}


def forget(connection: Connection, runners: Collection[str]) -> Sequence[RecipientId]:
    """Forget runners that have ended; the recipients that they have leased."""
    run(connection, _FORGET, {"runners": runners})
    leased = {"runners": runners, "leased": QueueState.LEASED.value}
    return [RecipientId(row.id) for row in run(connection, _LEASED, leased)]
