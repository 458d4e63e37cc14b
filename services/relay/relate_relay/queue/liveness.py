"""Which runners have ended without a word. Pure.

A runner that lives counts its beats in the queue. What it cannot do while the store is away, the others do not hold
against it; and clocks of other hosts are not asked.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

BEAT_SECONDS = 5.0
DEAD_SECONDS = 30.0
"""Without a beat. A process that stands still for longer, and then goes on, may have its messages sent twice."""


class _Beat(NamedTuple):
    beats: int
    seen_at: float  # seconds of the monotonic clock


class Liveness:
    """What a runner knows of the others. `clock` returns seconds of a monotonic clock."""

    def __init__(self, clock: Callable[[], float], dead_seconds: float = DEAD_SECONDS) -> None:
        self._clock = clock
        self._dead_seconds = dead_seconds
        self._seen: dict[str, _Beat] = {}
        self._looked_at = clock()

    def dead(self, beats: Mapping[str, int]) -> Collection[str]:
        """Compare the present beats with those before; the runners that have not beaten for too long."""
        now = self._clock()
        if now - self._looked_at > self._dead_seconds / 2:
            self._seen.clear()  # this runner could not look for a while, and the others may not have been able to beat
        self._looked_at = now
        known = self._seen
        self._seen = {
            name: known[name] if name in known and known[name].beats == count else _Beat(count, now)
            for name, count in beats.items()
        }
        return [name for name, beat in self._seen.items() if now - beat.seen_at > self._dead_seconds]
