"""What all sessions of one server share: the ports, the limits, what may be offered to whom."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from relate_accounts.ports import Authenticator
from relate_mailstore.ports import MailStore
from relate_wire.dialogue import Peer

MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Context:
    """One server. `allows_plaintext` says whether a peer may log in as it is connected."""

    store: MailStore
    authenticator: Authenticator
    server_name: str
    append_limit: int
    """Octets of a message (APPENDLIMIT, RFC 7889)."""
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """What this client may log in with as it is connected: in the clear perhaps nothing (LOGINDISABLED)."""
        return MECHANISMS if self.allows_plaintext(peer) else ()

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STARTTLS makes sense now."""
        return self.starttls_available and not peer.secure
