"""The open streams of a process: limits, and their end when the process stops."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

from fastapi import HTTPException

from relate_mailstore.types import AccountId

MAX_STREAMS_PER_USER = 10  # browsers open six connections to a server; programs one each


class Streams:
    """The open streams, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of_accounts: Counter[AccountId] = Counter()
        self._ends: set[Callable[[], None]] = set()
        self._closed = False
        self.events = 0
        """The events that were written, since the start."""
        self.slow = 0
        """The streams that ended because their client did not read."""

    def __len__(self) -> int:
        return self._of_accounts.total()

    @contextmanager
    def reserve(self, account_id: AccountId) -> Iterator[None]:
        """Count a stream within the block. Raises HTTPException with 429 or 503 beyond a limit."""
        if self._of_accounts[account_id] >= MAX_STREAMS_PER_USER:
            detail = f"at most {MAX_STREAMS_PER_USER} streams of a user are open at the same time"
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail)
        if self._closed or len(self) >= self._limit:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many streams are open")
        self._of_accounts[account_id] += 1
        try:
            yield
        finally:
            self._of_accounts[account_id] -= 1
            self._of_accounts += Counter()  # drops the accounts without a stream

    def watch(self, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when the streams are closed. Returns a function that ends the watch."""
        self._ends.add(end)
        if self._closed:
            end()
        return partial(self._ends.discard, end)

    def count(self, events: int) -> None:
        """Count events that were written."""
        self.events += events

    def close(self) -> None:
        """End all streams, and refuse new ones."""
        self._closed = True
        for end in tuple(self._ends):
            end()
