"""The settings of the POP3 server, such as `Pop3__Port`. The settings that all line protocols share: `relate_wire`."""

from typing import ClassVar

from pydantic import Field

from relate_wire.config import LineServiceSettings
from relate_wire.published import POP3_PORT, POP3S_PORT

# RFC 1939 §3: an autologout timer MUST be of at least ten minutes.
MIN_SESSION_TIMEOUT_SECONDS = 600.0


class Pop3Settings(LineServiceSettings):
    """The environment's `Pop3__…` variables. Port 0 lets the system choose a port."""

    prefix: ClassVar[str] = "Pop3"

    port: int = Field(default=POP3_PORT, ge=0, le=65_535)
    secure_port: int = Field(default=POP3S_PORT, ge=0, le=65_535)
    """The port with implicit TLS."""
    session_timeout: float = Field(default=MIN_SESSION_TIMEOUT_SECONDS, ge=MIN_SESSION_TIMEOUT_SECONDS)
    max_connections_per_user: int = Field(default=1, ge=1)
    """Has no effect beyond 1, because one session at a time holds the maildrop's lock (RFC 1939 §4)."""
