"""How many connections a process opens to a destination, and when a dead one is asked again. Pure.

As in Postfix, the number adapts: it grows by one for each round of messages that reached the destination, and a failed
connection halves it. After SUSPENDING_FAILURES failures in a row the destination is suspended, whatever number of
messages waits for it. Then one message at a time probes it, each time after twice the pause, until one reaches it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_CONNECTIONS = 2
MAX_CONNECTIONS = 20
SUSPENDING_FAILURES = 3
PAUSES_SECONDS: Sequence[float] = (60.0, 120.0, 240.0, 480.0, 900.0)
"""Between the probes of a suspended destination; the last repeats."""
MAX_DESTINATIONS = 10_000
"""With state. The one that was used least recently is forgotten, and begins anew."""


@dataclass(slots=True)
class _State:
    connections: float = FIRST_CONNECTIONS  # that are allowed
    open: int = 0
    failures: int = 0  # in a row
    suspended_until: float = 0.0


class Destinations:
    """The destinations of one process. `clock` returns seconds of a monotonic clock."""

    def __init__(
        self,
        clock: Callable[[], float],
        max_connections: int = MAX_CONNECTIONS,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self._clock = clock
        self._max_connections = max_connections
        self._pauses_seconds = pauses_seconds
        self._states: dict[str, _State] = {}  # the most recently used last

    def free(self, domain: str) -> int:
        """The number of connections that may be opened to a destination now."""
        state = self._states.get(domain)
        if state is None:
            return min(FIRST_CONNECTIONS, self._max_connections)
        if state.suspended_until > self._clock():
            return 0
        allowed = 1 if self._is_suspended(state) else int(state.connections)
        return max(0, min(allowed, self._max_connections) - state.open)

    def suspended(self) -> dict[str, float]:
        """The suspended destinations, and for how many seconds they still are; 0 if a probe is due."""
        now = self._clock()
        return {
            domain: max(0.0, state.suspended_until - now)
            for domain, state in self._states.items()
            if self._is_suspended(state)
        }

    def opened(self, domain: str) -> None:
        """Note that a connection is being opened."""
        self._use(domain).open += 1

    def reached(self, domain: str) -> bool:
        """Note that the destination has answered to a message. Returns whether it was suspended."""
        state = self._use(domain)
        was_suspended = self._is_suspended(state)
        state.failures, state.suspended_until = 0, 0.0
        state.connections = min(state.connections + 1 / max(1, int(state.connections)), self._max_connections)
        return was_suspended

    def failed(self, domain: str) -> bool:
        """Note that no server of the destination could be reached. Returns whether that suspends it.

        Connections that were opened before it was suspended do not lengthen the pause.
        """
        state = self._use(domain)
        if state.suspended_until > self._clock():
            return False
        was_suspended = self._is_suspended(state)
        state.failures += 1
        state.connections = max(1.0, state.connections / 2)
        if self._is_suspended(state):
            probes = state.failures - SUSPENDING_FAILURES
            pause = self._pauses_seconds[min(probes, len(self._pauses_seconds) - 1)]
            state.suspended_until = self._clock() + pause
        return self._is_suspended(state) and not was_suspended

    def closed(self, domain: str) -> None:
        """Note that a connection that was `opened` has ended."""
        self._use(domain).open -= 1

    def _is_suspended(self, state: _State) -> bool:
        return state.failures >= SUSPENDING_FAILURES

    def _use(self, domain: str) -> _State:
        state = self._states.pop(domain, None) or _State()
        self._states[domain] = state
        if len(self._states) > MAX_DESTINATIONS:
            idle = next((name for name, each in self._states.items() if not each.open), None)
            if idle is not None:
                del self._states[idle]
        return state
