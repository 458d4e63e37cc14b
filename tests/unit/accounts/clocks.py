"""One clock for both kinds of time, set by hand."""

from datetime import UTC, datetime, timedelta


class HandClock:
    """Seconds and moments that pass when told to."""

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
