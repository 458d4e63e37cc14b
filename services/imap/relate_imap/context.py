"""What all sessions of one server share: the ports, the limits, what may be offered to whom."""

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

# Steps of Python, some 100 ns each, that a command may take on the loop: 5 ms in which no other session has a turn.
MAX_INLINE_STEPS = 50_000

Offload = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Does work beside the loop: see `aside.in_threads`."""

T = TypeVar("T")


class SelectSpan(Protocol):
    """A mailbox that is being selected, as it is seen."""

    def set_message_count(self, messages: int) -> None:
        """It is there, with so many messages."""


class NoSelectSpan:
    """Nobody looks."""

    def set_message_count(self, messages: int) -> None:
        """Nothing."""


def no_select_span(mailbox: str, read_only: bool) -> AbstractContextManager[SelectSpan]:
    """A selection that nobody looks at."""
    return nullcontext(NoSelectSpan())


async def run_inline(work: Callable[[], Any]) -> Any:
    """Work that is done on the loop: in tests, where no other session waits for it."""
    return work()


class SessionLimit:
    """How many sessions each account has, and how many it may have in this process."""

    def __init__(self, per_account: int) -> None:
        self._per_account = per_account
        self._open: Counter[AccountId] = Counter()

    def acquire(self, account: AccountId) -> bool:
        """Whether there is room for another one."""
        if self._open[account] >= self._per_account:
            return False
        self._open[account] += 1
        return True

    def release(self, account: AccountId) -> None:
        """One has ended."""
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]


@dataclass(frozen=True, slots=True)
class Context:
    """One server. `allows_plaintext` says whether a peer may log in as it is connected."""

    store: MailStore
    authenticator: Authenticator
    server_name: str
    append_limit: int
    """Octets of a message (APPENDLIMIT, RFC 7889)."""
    sessions: SessionLimit
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool
    select_span: Callable[[str, bool], AbstractContextManager[SelectSpan]] = no_select_span
    """Around the selection of a mailbox, by name and whether for reading only."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""
    offload: Offload = run_inline
    recent: RecentMessages = field(default_factory=RecentMessages)

    async def compute(self, steps: int, work: Callable[[], T]) -> T:
        """The result of pure work of about so many steps: done at once if it is short, else beside the loop."""
        if steps <= MAX_INLINE_STEPS:
            return work()
        result: T = await self.offload(work)
        return result

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """What this client may log in with as it is connected: in the clear perhaps nothing (LOGINDISABLED)."""
        return MECHANISMS if self.allows_plaintext(peer) else ()

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STARTTLS makes sense now."""
        return self.starttls_available and not peer.secure
