"""The registry of this process's open sessions, to end those of revoked keys. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from relate_accounts.types import Granted, Revoked


@dataclass(frozen=True, slots=True)
class _Session:
    granted: Granted
    end: Callable[[], None]


class Sessions:
    """Open sessions and the key of each."""

    def __init__(self) -> None:
        self._open: dict[int, _Session] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """Register a session; returns a function that removes it, which is idempotent."""
        number = next(self._numbers)
        self._open[number] = _Session(granted, end)

        def remove() -> None:
            self._open.pop(number, None)

        return remove

    def end(self, revoked: Revoked, now: datetime) -> int:
        """End the sessions of revoked keys, disabled users and expired keys; returns their number."""
        ending = [number for number, session in self._open.items() if _is_invalid(session.granted, revoked, now)]
        for number in ending:
            self._open.pop(number).end()
        return len(ending)


def _is_invalid(granted: Granted, revoked: Revoked, now: datetime) -> bool:
    return revoked.covers(granted) or (granted.expires is not None and granted.expires <= now)
