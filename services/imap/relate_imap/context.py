"""What all sessions of a server share: the ports, the limits, and which features a peer is offered."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from relate_accounts.ports import Authenticator
from relate_imap.selected.recent import RecentMessages
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId
from relate_wire.ports import Peer

MECHANISMS = ("PLAIN", "LOGIN")

# Steps of Python, about 100 ns each, that a command may run on the event loop: 5 ms during which no other session runs.
MAX_INLINE_STEPS = 50_000

Offload = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function off the event loop; see `offload.thread_offload`."""

T = TypeVar("T")


class SelectSpan(Protocol):
    """The span of a SELECT or EXAMINE."""

    def set_message_count(self, messages: int) -> None:
        """Record that the mailbox exists and how many messages it holds."""


class NoSelectSpan:
    """A `SelectSpan` that records nothing."""

    def set_message_count(self, messages: int) -> None:
        """See `SelectSpan`."""


def no_select_span(mailbox: str, read_only: bool) -> AbstractContextManager[SelectSpan]:
    """For a server without telemetry."""
    return nullcontext(NoSelectSpan())


async def run_inline(work: Callable[[], Any]) -> Any:
    """An `Offload` that runs the function on the event loop: for tests, which have no other session."""
    return work()


class SessionLimit:
    """Counts the sessions of each account in this process, and limits them."""

    def __init__(self, per_account: int) -> None:
        self._per_account = per_account
        self._open: Counter[AccountId] = Counter()

    def acquire(self, account: AccountId) -> bool:
        """Add a session; returns False if the account is at its limit."""
        if self._open[account] >= self._per_account:
            return False
        self._open[account] += 1
        return True

    def release(self, account: AccountId) -> None:
        """Remove a session."""
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]


@dataclass(frozen=True, slots=True)
class Context:
    """What the sessions of one server share. `allows_plaintext` tells whether a peer may log in over its connection."""

    store: MailStore
    authenticator: Authenticator
    server_name: str
    append_limit: int
    """Octets of a message (APPENDLIMIT, RFC 7889)."""
    sessions: SessionLimit
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool
    select_span: Callable[[str, bool], AbstractContextManager[SelectSpan]] = no_select_span
    """Context manager around the opening of a mailbox, by name and whether it is read-only."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""
    offload: Offload = run_inline
    recent: RecentMessages = field(default_factory=RecentMessages)

    async def compute(self, steps: int, work: Callable[[], T]) -> T:
        """The result of a pure function of about `steps` steps: run inline if they are few, else off the event loop."""
        if steps <= MAX_INLINE_STEPS:
            return work()
        result: T = await self.offload(work)
        return result

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """The SASL mechanisms for this connection: none in clear text, unless that is allowed (LOGINDISABLED)."""
        return MECHANISMS if self.allows_plaintext(peer) else ()

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STARTTLS is available to this peer."""
        return self.starttls_available and not peer.secure
