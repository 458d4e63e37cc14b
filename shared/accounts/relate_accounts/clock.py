"""Injectable clocks: a monotonic one for durations, and wall-clock time in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime

Monotonic = Callable[[], float]  # seconds
Now = Callable[[], datetime]  # UTC


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def as_utc(moment: datetime) -> datetime:
    """Convert an aware datetime to UTC. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment.astimezone(UTC)
