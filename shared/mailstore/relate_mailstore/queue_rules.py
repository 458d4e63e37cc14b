"""How a recipient of the queue changes its state: the rules that every store follows. Pure.

A leased recipient belongs to its runner. What an operator requests of it is recorded, and takes effect when the attempt
ends: with a result that is not final, or with the end of the lease.
"""

from collections.abc import Callable
from typing import NamedTuple

from relate_mailstore.event_types import EventName
from relate_mailstore.queue_types import FINAL_STATES, AttemptResult, QueueState

MAX_AHEAD_SECONDS = 24 * 3600.0
"""How far ahead a recipient can be due after the clock was set back. The longest delay between attempts is shorter."""


class Schedule(NamedTuple):
    """The state of a recipient, when it is due in seconds since the epoch, and the state that an operator requested."""

    state: QueueState
    due: float | None
    requested: QueueState | None = None


Change = Callable[[Schedule, float], Schedule]
"""What an operator does to a recipient, now, in seconds since the epoch; the same schedule if it changes nothing."""


def lease(was: Schedule, until: float) -> Schedule:
    """Claim a recipient that is due."""
    return was._replace(state=QueueState.LEASED, due=until)


def end_lease(was: Schedule, now: float) -> Schedule:
    """Do what an operator requested of a recipient whose lease ran out: it is claimed once more, for that alone."""
    return was if was.requested is None else Schedule(was.requested, None)


def settle(was: Schedule, result: AttemptResult) -> Schedule:
    """Store the result of an attempt. What an operator requested meanwhile replaces a state that is not final."""
    if was.requested is not None and result.state not in FINAL_STATES:
        return Schedule(was.requested, None)
    return Schedule(result.state, result.next_attempt)


def hold(was: Schedule, now: float) -> Schedule:
    """Hold a queued recipient, a leased one later, unless it will be cancelled."""
    if was.state is QueueState.LEASED and was.requested is None:
        return was._replace(requested=QueueState.HELD)
    return Schedule(QueueState.HELD, None) if was.state is QueueState.QUEUED else was


def release(was: Schedule, now: float) -> Schedule:
    """Queue a held recipient, due at once; take back the request to hold a leased one."""
    if was.state is QueueState.LEASED and was.requested is QueueState.HELD:
        return was._replace(requested=None)
    return Schedule(QueueState.QUEUED, now) if was.state is QueueState.HELD else was


def retry(was: Schedule, now: float) -> Schedule:
    """Make a queued recipient due at once."""
    is_later = was.state is QueueState.QUEUED and was.due is not None and was.due > now
    return was._replace(due=now) if is_later else was


def drop(was: Schedule, now: float) -> Schedule:
    """Cancel a recipient, a leased one later."""
    if was.state is QueueState.LEASED:
        return was._replace(requested=QueueState.CANCELLED)
    return was if was.state in FINAL_STATES else Schedule(QueueState.CANCELLED, None)


def told(was: Schedule, after: Schedule) -> EventName | None:
    """What the event log tells of an operator's change, or of what an operator had requested; None for nothing."""
    if after.state is QueueState.CANCELLED:
        return EventName.CANCELLED
    if after.state is QueueState.HELD:
        return EventName.HELD
    return EventName.RELEASED if was.state is QueueState.HELD else None
