"""The context that all sessions of a listener share: its role, its limits, its extensions, and the ports it uses."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from relate_accounts.ports import Authenticator, Directory
from relate_mailstore.ports import EventLog, MailStore
from relate_mailstore.queue_types import SendingLimit
from relate_smtp.returned import ReportReader
from relate_submission.routing import Routing
from relate_wire.ports import Peer

MECHANISMS = ("PLAIN", "LOGIN")

# RFC 2920, 6152, 3030 (two), 6531, 2034, 3461: the extensions that are offered to every client.
EXTENSIONS = ("PIPELINING", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "HELP")


class Role(Enum):
    """The role of a listener."""

    MX = auto()
    """Reception of mail for local users from any client (RFC 5321)."""
    SUBMISSION = auto()
    """Submission of mail by local users (RFC 6409)."""


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one listener. `allows_plaintext` decides whether a peer may log in over its current connection."""

    role: Role
    store: MailStore
    events: EventLog
    authenticator: Authenticator
    directory: Directory
    routing: Routing
    server_name: str
    max_content: int
    """The largest message, in octets."""
    max_recipients: int
    require_authentication: bool
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool
    sending_limits: tuple[SendingLimit, ...] = ()
    """How many recipients on other servers a user may send to."""
    now: Callable[[], float] = time.time
    """The time for trace fields, in seconds since the epoch."""
    clock: Callable[[], float] = time.perf_counter
    """A monotonic clock for durations, in seconds."""
    reports: ReportReader | None = None
    """Reads the delivery reports of other servers; None where there are none."""

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STARTTLS (RFC 3207) is offered to a peer."""
        return self.starttls_available and not peer.secure

    def offers_login(self, peer: Peer) -> bool:
        """Whether AUTH (RFC 4954) is offered to a peer."""
        return self.role is Role.SUBMISSION and self.allows_plaintext(peer)

    def keywords(self, peer: Peer) -> tuple[str, ...]:
        """The EHLO keywords (RFC 5321 §4.1.1.1)."""
        return (
            *EXTENSIONS,
            f"SIZE {self.max_content}",  # RFC 1870
            *(("STARTTLS",) if self.offers_tls(peer) else ()),
            *((f"AUTH {' '.join(MECHANISMS)}",) if self.offers_login(peer) else ()),
        )
