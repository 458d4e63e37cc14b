"""The settings that every line protocol has; a service adds its ports and its own."""

import ssl
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from relate_config import Section
from relate_wire.dialogue import Peer
from relate_wire.limits import MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, SESSION_TIMEOUT, Limits, parse_networks
from relate_wire.tls import development_certificate, server_context


class ServiceSettings(Section):
    """Settings common to SMTP, POP3 and IMAP; a subclass sets `prefix`. Times are in seconds."""

    enabled: bool = True
    server_name: str = "localhost"
    host: str = "127.0.0.1"
    session_timeout: float = SESSION_TIMEOUT
    workers: int = Field(default=1, ge=1)
    """Processes that share the ports (SO_REUSEPORT): one per core is plenty."""
    certificate_path: Path | None = None
    certificate_key_path: Path | None = None
    development_certificates: Path = Path("var/tls")
    """Where a self-signed certificate is kept when none is configured."""
    plaintext_authentication: Literal["never", "loopback", "always"] = "loopback"
    """Where keys may be sent without TLS (RFC 8314 §3): where the connection never leaves the machine."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    trusted_proxies: str = ""
    """Networks, separated by commas, whose connections begin with a PROXY v2 preamble."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    def limits(self) -> Limits:
        """What the server grants."""
        return Limits(
            session_timeout=self.session_timeout,
            max_connections=self.max_connections,
            max_connections_per_address=self.max_connections_per_address,
            trusted_proxies=parse_networks(self.trusted_proxies),
        )

    def tls(self) -> ssl.SSLContext:
        """The configured certificate, or the development one. Raises CertificateError."""
        if self.certificate_path is not None:
            return server_context(self.certificate_path, self.certificate_key_path)
        return server_context(development_certificate(self.development_certificates, self.server_name))

    def allows_plaintext(self, peer: Peer) -> bool:
        """Whether this client may log in as things stand."""
        return (
            peer.secure
            or self.plaintext_authentication == "always"
            or (self.plaintext_authentication == "loopback" and peer.is_loopback)
        )
