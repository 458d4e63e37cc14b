"""Limits the requests of each key, and tells clients about it: the fields `RateLimit-Policy` and `RateLimit`.

The fields are those of draft-ietf-httpapi-ratelimit-headers-09. A window begins with the first request of a key, and
its requests are counted in this process only: with several processes a key may send as many to each.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 60
MAX_KEYS_ITEMS = 10_000
"""Keys that are counted at once, about 2 MB; beyond it the key that was silent for longest is forgotten."""

POLICY_NAME = "key"


@dataclass(slots=True)
class _Window:
    ends: float
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of its limit a key has used. `reset_seconds` is the time until it may send as many again."""

    limit: int
    remaining: int
    reset_seconds: int
    is_exceeded: bool

    def fields(self) -> Mapping[str, str]:
        """The response fields."""
        return {
            "RateLimit-Policy": f'"{POLICY_NAME}";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{POLICY_NAME}";r={self.remaining};t={self.reset_seconds}',
        }


class RateLimiter:
    """Counts requests by key. `limit` is the number per minute, 0 for none; `clock` is monotonic, in seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS_ITEMS) -> None:
        self._limit = limit
        self._clock = clock
        self._max_keys = max_keys
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def count(self, key: str) -> Usage | None:
        """Count a request of a key; None without a limit. A request beyond the limit is not counted."""
        if not self._limit:
            return None
        now = self._clock()
        window = self._windows.get(key)
        if window is None or now >= window.ends:
            window = self._windows[key] = _Window(now + WINDOW_SECONDS)
        self._windows.move_to_end(key)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)
        is_exceeded = window.requests >= self._limit
        window.requests += not is_exceeded
        return Usage(self._limit, self._limit - window.requests, math.ceil(window.ends - now), is_exceeded)
