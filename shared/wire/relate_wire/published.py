"""Where clients reach a service: its name, and the ports that a proxy or a container publishes.

The services listen on ports; the API tells clients where to connect. Both read the same settings: `Smtp__ServerName`,
`Smtp__Port`, `Smtp__PublicPort` and so on, of which the API needs these only.
"""

from typing import ClassVar, NamedTuple, Protocol

from pydantic import Field

from relate_config import Section

SUBMISSION_PORT, SUBMISSIONS_PORT = 2587, 2465
POP3_PORT, POP3S_PORT = 2110, 2995
IMAP_PORT, IMAPS_PORT = 2143, 2993


class Endpoint(NamedTuple):
    """Where clients reach a service; a port is None if they cannot.

    On `port` TLS begins with a command (STARTTLS, in POP3 STLS), on `secure_port` with the connection (RFC 8314 §3).
    """

    server: str
    port: int | None
    secure_port: int | None
    enabled: bool = True


class HasPorts(Protocol):
    """The settings of a service that has both kinds of ports."""

    @property
    def enabled(self) -> bool:
        """Whether it runs."""

    @property
    def server_name(self) -> str:
        """The name that clients connect to."""

    @property
    def port(self) -> int:
        """The port that it listens on; 0 is chosen by the system."""

    @property
    def secure_port(self) -> int:
        """The port with implicit TLS."""

    @property
    def public_port(self) -> int | None:
        """The port at which clients reach `port`; None if it is the same, 0 if they cannot."""

    @property
    def public_secure_port(self) -> int | None:
        """The port at which clients reach `secure_port`."""


def endpoint(settings: HasPorts) -> Endpoint:
    """Where clients reach the service with these settings."""
    port = settings.port if settings.public_port is None else settings.public_port
    secure_port = settings.secure_port if settings.public_secure_port is None else settings.public_secure_port
    return Endpoint(settings.server_name, port or None, secure_port or None, settings.enabled)


class _Ports(Section):
    """The settings of `HasPorts`; the service's own class has the others."""

    enabled: bool = True
    server_name: str = Field(default="localhost", pattern=r"^[A-Za-z0-9_.:\[\]-]{1,255}$")
    port: int = Field(default=0, ge=0, le=65_535)
    secure_port: int = Field(default=0, ge=0, le=65_535)
    public_port: int | None = Field(default=None, ge=0, le=65_535)
    public_secure_port: int | None = Field(default=None, ge=0, le=65_535)


class Pop3Ports(_Ports):
    """Where clients reach POP3."""

    prefix: ClassVar[str] = "Pop3"
    port: int = Field(default=POP3_PORT, ge=0, le=65_535)
    secure_port: int = Field(default=POP3S_PORT, ge=0, le=65_535)


class ImapPorts(_Ports):
    """Where clients reach IMAP."""

    prefix: ClassVar[str] = "Imap"
    port: int = Field(default=IMAP_PORT, ge=0, le=65_535)
    secure_port: int = Field(default=IMAPS_PORT, ge=0, le=65_535)
