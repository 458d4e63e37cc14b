"""When a message is tried again, when its sender is told of the delay, and when it is given up. Pure.

By default 4 minutes after the first attempt, so that greylisting (RFC 6647 §5) lets the second one pass, then twice as
long each time up to 4 hours, for 5 days (RFC 5321 §4.5.4.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

RETRY_SECONDS = (240.0, 480.0, 960.0, 1920.0, 3840.0, 7680.0, 14_400.0)
MAX_AGE_SECONDS = 5 * 86_400.0
NOTICE_SECONDS = 4 * 3_600.0
JITTER_SHARE = 0.2
"""The share of a delay by which it is lengthened at most, so that messages of one failure do not return together."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The delays in seconds after the first, second, … attempt, of which the last repeats; and two ages in seconds."""

    retry_seconds: Sequence[float] = RETRY_SECONDS
    max_age_seconds: float = MAX_AGE_SECONDS
    notice_seconds: float = NOTICE_SECONDS

    def next_attempt(self, arrived: float, attempts: int, now: float, random: Random) -> float | None:
        """The time of the next attempt, after `attempts` (at least one) failed ones; None to give up.

        All times are in seconds since the epoch. The last attempt is when the message reaches its maximal age.
        """
        expires = arrived + self.max_age_seconds
        if now >= expires:
            return None
        delay = self.retry_seconds[min(attempts, len(self.retry_seconds)) - 1]
        return min(now + delay * random.uniform(1.0, 1.0 + JITTER_SHARE), expires)

    def is_notice_due(self, arrived: float, now: float) -> bool:
        """Whether the sender of a message that still waits has to be told (RFC 3461 §6.2: delayed)."""
        return now - arrived >= self.notice_seconds


def parse_retry(text: str) -> Sequence[float]:
    """Parse a list of seconds such as `240,480,0.5`. Raises ValueError for one that is not a positive number."""
    seconds = [_parse_seconds(entry.strip()) for entry in text.split(",")]
    return tuple(seconds)


def _parse_seconds(entry: str) -> float:
    try:
        seconds = float(entry)
    except ValueError:
        raise ValueError(f"{entry!r} is not a number of seconds") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{entry!r} is not a positive number of seconds")
    return seconds
