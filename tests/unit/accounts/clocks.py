"""A manual clock, for monotonic and wall-clock time."""

from datetime import UTC, datetime, timedelta


class HandClock:
    """A clock that only `advance` moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.moment += timedelta(seconds=seconds)
