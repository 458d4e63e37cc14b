"""The context that all POP3 sessions of a server share: the ports, and which logins are offered to a peer."""

from collections.abc import Callable
from dataclasses import dataclass

from relate_accounts.ports import Authenticator
from relate_mailstore.ports import MailStore
from relate_wire.ports import Peer

MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one server. `allows_plaintext` decides whether a peer may log in over its current connection."""

    store: MailStore
    authenticator: Authenticator
    server_name: str
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """The SASL mechanisms that are offered to a peer; none where it must use TLS first (RFC 2595 §2.3)."""
        return MECHANISMS if self.allows_plaintext(peer) else ()

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STLS is offered to a peer."""
        return self.starttls_available and not peer.secure
