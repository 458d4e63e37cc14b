"""Clocks, passed in wherever time matters: one for durations, one for the moments that people see."""

from collections.abc import Callable
from datetime import UTC, datetime

Monotonic = Callable[[], float]  # seconds since some start, never set back
Now = Callable[[], datetime]  # UTC


def utc_now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError where its time zone is not known."""
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment.astimezone(UTC)
