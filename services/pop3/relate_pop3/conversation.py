"""The mutable state of one POP3 connection. `Pop3Session` owns it, and handlers read and change it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from relate_pop3.context import Context
from relate_pop3.maildrop import Maildrop
from relate_pop3.states import State
from relate_wire.lines import Line
from relate_wire.ports import Client, Peer


@dataclass(slots=True)
class Conversation:
    """The state of one connection."""

    client: Client[Line]
    context: Context
    peer: Peer
    state: State = State.AUTHORIZATION
    login: str | None = None
    """The argument of USER, until PASS."""
    failed_logins: int = 0
    utf8: bool = False
    """Whether the client sent UTF8 (RFC 6856 §2.1)."""
    opened: Maildrop | None = None
    cleanup: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Releases the maildrop's lock and stops watching the key."""

    @property
    def maildrop(self) -> Maildrop:
        """The maildrop that the login opened."""
        if self.opened is None:
            raise RuntimeError("a command of the TRANSACTION state was allowed before a login")
        return self.opened
