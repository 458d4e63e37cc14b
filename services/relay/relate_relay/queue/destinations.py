"""How many connections a process opens to a destination. Pure.

The number adapts: while all connections that are allowed are open, it grows by one for each message that reached the
destination. So it doubles in each round of messages, as Postfix's does by default; a failed connection halves it. The
limit holds for all relays together: each opens its share. After SUSPENDING_FAILURES failures in a row the queue
suspends the destination for all relays. How many messages wait for it does not matter.
"""

from dataclasses import dataclass

FIRST_CONNECTIONS = 2
MAX_CONNECTIONS = 20
SUSPENDING_FAILURES = 3
MAX_DESTINATIONS = 10_000
"""With state. The one that was used least recently is forgotten, and begins anew."""


@dataclass(slots=True)
class _State:
    connections: int = FIRST_CONNECTIONS  # that are allowed
    open: int = 0
    failures: int = 0  # in a row
    suspended: str = ""  # why


class Destinations:
    """The destinations of one process. `runners` is the number of relays, which share the limit."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self.runners = 1
        self._max_connections = max_connections
        self._states: dict[str, _State] = {}  # the most recently used last

    def free(self, domain: str) -> int:
        """The number of connections that may be opened to a destination now; negative if too many are open."""
        state = self._states.get(domain) or _State()
        share = max(1, self._max_connections // self.runners)
        return min(state.connections, share) - state.open

    def opened(self, domain: str) -> None:
        """Note that a connection is being opened."""
        self._use(domain).open += 1

    def reached(self, domain: str) -> None:
        """Note that the destination has answered to a message."""
        state = self._use(domain)
        state.failures, state.suspended = 0, ""
        if state.open >= state.connections:  # messages that come one by one prove nothing about more connections
            state.connections = min(state.connections + 1, self._max_connections)

    def failed(self, domain: str) -> bool:
        """Note that no server of the destination could be reached. Returns whether it is to be suspended."""
        state = self._use(domain)
        state.failures += 1
        state.connections = max(1, state.connections // 2)
        return state.failures >= SUSPENDING_FAILURES

    def suspend(self, domain: str, reason: str) -> bool:
        """Note that a destination is suspended: mail that was claimed is not attempted. Returns whether that is new."""
        state = self._use(domain)
        was_suspended, state.suspended = bool(state.suspended), reason
        return not was_suspended

    def resume(self, domain: str) -> None:
        """Note that a destination is not suspended."""
        if domain in self._states:
            self._states[domain].suspended = ""

    def suspension(self, domain: str) -> str:
        """Why a destination is suspended, as far as this process knows; empty if it is not."""
        state = self._states.get(domain)
        return "" if state is None else state.suspended

    def closed(self, domain: str) -> None:
        """Note that a connection that was `opened` has ended."""
        self._use(domain).open -= 1

    def _use(self, domain: str) -> _State:
        state = self._states.pop(domain, None) or _State()
        self._states[domain] = state
        if len(self._states) > MAX_DESTINATIONS:
            idle = next((name for name, each in self._states.items() if not each.open), None)
            if idle is not None:
                del self._states[idle]
        return state
