"""How a recipient of the queue changes its state: the rules that every store follows. Pure.

A leased recipient belongs to its runner, until that tells a result or ends. What an operator requests of it is
recorded, and takes effect then, unless the result is final.
"""

from collections.abc import Callable, Sequence
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


PROBE_PAUSES_SECONDS: Sequence[float] = (60.0, 120.0, 240.0, 480.0, 900.0)
"""Before the first, second, … probe of a suspended destination; the last repeats."""

DESTINATION_REPLY_STATUS = "4.4."
"""The enhanced codes of recipients whose destination was not reached (RFC 3463 §3.5, network and routing status)."""

Change = Callable[[Schedule, float], Schedule]
"""What an operator does to a recipient, now, in seconds since the epoch; the same schedule if it changes nothing."""


LEASED = Schedule(QueueState.LEASED, None)


def end_lease(was: Schedule, now: float) -> Schedule:
    """End the lease of a runner that tells no result: the recipient is due, or in the state that was requested."""
    if was.state is not QueueState.LEASED:
        return was
    return Schedule(QueueState.QUEUED, now) if was.requested is None else Schedule(was.requested, None)


def probe_pause(probes: int) -> float:
    """The seconds until the next probe of a suspended destination, after so many probes."""
    return PROBE_PAUSES_SECONDS[min(probes, len(PROBE_PAUSES_SECONDS) - 1)]


def is_probe_due(suspended_until: float, now: float) -> bool:
    """Whether a suspended destination may be probed: its time has come, or the clock was set back since."""
    return not now < suspended_until <= now + PROBE_PAUSES_SECONDS[-1]


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
