"""The settings of the POP3 server: `Pop3__Port` and its like. What all line protocols share is in `relate_wire`."""

from typing import ClassVar

from pydantic import Field

from relate_wire.config import LineServiceSettings

# RFC 1939 §3: an autologout timer MUST be of at least ten minutes.
SHORTEST_TIMEOUT = 600.0


class Pop3Settings(LineServiceSettings):
    """What the environment says about POP3. Ports: 0 lets the system choose."""

    prefix: ClassVar[str] = "Pop3"

    port: int = Field(default=2110, ge=0, le=65_535)
    secure_port: int = Field(default=2995, ge=0, le=65_535)
    """TLS from the first octet."""
    session_timeout: float = Field(default=SHORTEST_TIMEOUT, ge=SHORTEST_TIMEOUT)
    max_connections_per_user: int = Field(default=1, ge=1)
    """One session holds the maildrop at a time (RFC 1939 §4), so this is kept whatever it says."""
