"""What all sessions of one listener share: its role, its limits, what it offers, and the ports behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from relate_accounts.ports import Authenticator, Directory
from relate_mailstore.ports import MailStore
from relate_smtp.routing import Routing
from relate_wire.ports import Peer

MECHANISMS = ("PLAIN", "LOGIN")

# RFC 2920, 6152, 3030 (two), 6531, 2034, 3461: what everybody is offered.
EXTENSIONS = ("PIPELINING", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "HELP")


class Role(Enum):
    """What a listener is for."""

    MX = auto()
    """Mail from strangers, for our users (RFC 5321)."""
    SUBMISSION = auto()
    """Mail from our users (RFC 6409)."""


@dataclass(frozen=True, slots=True)
class Context:
    """One listener. `allows_plaintext` says whether a peer may log in as it is connected."""

    role: Role
    store: MailStore
    authenticator: Authenticator
    directory: Directory
    routing: Routing
    server_name: str
    max_content: int
    """Octets of a message."""
    max_recipients: int
    require_authentication: bool
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool
    now: Callable[[], float] = time.time
    """Seconds since the epoch, for trace fields."""
    clock: Callable[[], float] = time.perf_counter
    """Seconds, for differences."""

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STARTTLS (RFC 3207) makes sense now."""
        return self.starttls_available and not peer.secure

    def offers_login(self, peer: Peer) -> bool:
        """Whether AUTH (RFC 4954) makes sense now."""
        return self.role is Role.SUBMISSION and self.allows_plaintext(peer)

    def keywords(self, peer: Peer) -> tuple[str, ...]:
        """What EHLO answers (RFC 5321 §4.1.1.1)."""
        return (
            *EXTENSIONS,
            f"SIZE {self.max_content}",  # RFC 1870
            *(("STARTTLS",) if self.offers_tls(peer) else ()),
            *((f"AUTH {' '.join(MECHANISMS)}",) if self.offers_login(peer) else ()),
        )
