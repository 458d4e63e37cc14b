"""Settings common to all services, and those common to the line protocols; each service adds its ports and its own."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, field_validator

from relate_config import Section
from relate_wire.limits import (
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_ADDRESS,
    SESSION_TIMEOUT_SECONDS,
    Limits,
    Network,
    parse_networks,
)
from relate_wire.tls import Certificate, CertificateError, DevelopmentCertificate


class Connected(Protocol):
    """The facts that decide whether a client may send a key: a `Peer`, or a client that a proxy describes."""

    @property
    def secure(self) -> bool:
        """Whether TLS is active."""

    @property
    def is_loopback(self) -> bool:
        """Whether the client is on this machine."""


class ServiceSettings(Section):
    """Settings common to SMTP, POP3, IMAP and the API; a subclass sets `prefix`."""

    enabled: bool = True
    server_name: str = "localhost"
    host: str = "127.0.0.1"
    certificate_path: Path | None = None
    certificate_key_path: Path | None = None
    development_certificates: Path = Path("var/tls")
    """The folder of the self-signed certificate that is used if none is configured."""
    plaintext_authentication: Literal["never", "loopback", "always"] = "loopback"
    """Which clients may send keys without TLS (RFC 8314 §3): by default those on this machine."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    trusted_proxies: str = ""
    """Networks of proxies, separated by commas, whose PROXY v2 preamble or `Forwarded` fields are trusted."""
    public_port: int | None = Field(default=None, ge=0, le=65_535)
    """The port at which clients reach the listener without implicit TLS; by default its own, 0 if they cannot."""
    public_secure_port: int | None = Field(default=None, ge=0, le=65_535)
    """The same of the listener with implicit TLS."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def proxies(self) -> tuple[Network, ...]:
        """`trusted_proxies` as networks."""
        return parse_networks(self.trusted_proxies)

    def limits(self) -> Limits:
        """The server's limits."""
        return Limits(
            max_connections=self.max_connections,
            max_connections_per_address=self.max_connections_per_address,
            trusted_proxies=self.proxies,
        )

    def certificate(self) -> Certificate:
        """The configured certificate, or the development one. Raises CertificateError."""
        if self.certificate_path is not None:
            try:
                return Certificate(self.certificate_path, self.certificate_key_path)
            except CertificateError as error:
                raise CertificateError(f"{error}; {self.prefix}__CertificatePath names it") from None
        try:
            return DevelopmentCertificate(self.development_certificates, self.server_name)
        except OSError as error:
            where = f"{self.development_certificates.absolute()}: {error.strerror}"
            raise CertificateError(
                f"cannot make a certificate in {where}; {self.prefix}__DevelopmentCertificates names the folder"
            ) from None

    def allows_plaintext(self, peer: Connected) -> bool:
        """Whether this client may log in over its current connection."""
        return (
            peer.secure
            or self.plaintext_authentication == "always"
            or (self.plaintext_authentication == "loopback" and peer.is_loopback)
        )


class LineServiceSettings(ServiceSettings):
    """Settings common to SMTP, POP3 and IMAP. Times are in seconds."""

    session_timeout: float = SESSION_TIMEOUT_SECONDS
    workers: int = Field(default=1, ge=1)
    """Processes that share the ports (SO_REUSEPORT); one per core is enough."""

    def limits(self) -> Limits:
        """The server's limits."""
        return replace(super().limits(), session_timeout=self.session_timeout)
