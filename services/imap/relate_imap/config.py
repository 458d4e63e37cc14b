"""Settings of the IMAP server (`Imap__Port` etc.). `relate_wire.config` has those that all line protocols share."""

from typing import ClassVar

from pydantic import Field

from relate_wire.config import LineServiceSettings
from relate_wire.published import IMAP_PORT, IMAPS_PORT

# RFC 9051 §5.4: an autologout timer MUST be of at least thirty minutes.
MIN_TIMEOUT_SECONDS = 1800.0


class ImapSettings(LineServiceSettings):
    """Settings of IMAP from the environment. Port 0 lets the system choose."""

    prefix: ClassVar[str] = "Imap"

    port: int = Field(default=IMAP_PORT, ge=0, le=65_535)
    secure_port: int = Field(default=IMAPS_PORT, ge=0, le=65_535)
    """The port with implicit TLS."""
    session_timeout: float = Field(default=MIN_TIMEOUT_SECONDS, ge=MIN_TIMEOUT_SECONDS)
    max_connections_per_user: int = Field(default=50, ge=1)
    """Per process. Mail programs open one connection for each folder that they watch."""
    max_message_size_bytes: int = Field(default=50 * 1024 * 1024, ge=1024)
    """Of a message that a client appends (APPENDLIMIT, RFC 7889)."""
