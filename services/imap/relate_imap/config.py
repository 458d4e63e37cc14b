"""Settings of the IMAP server: `Imap__Port` and its like."""

from typing import ClassVar

from relate_wire.config import ServiceSettings


class ImapSettings(ServiceSettings):
    """Ports, and RFC 9051 §5.4: no less than 30 minutes of silence."""

    prefix: ClassVar[str] = "Imap"

    port: int = 2143
    secure_port: int = 2993
    session_timeout: float = 1800.0
