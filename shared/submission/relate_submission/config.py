"""The settings `Smtp__…`, such as `Smtp__Port`: of SMTP, and of all that accepts mail.

The API reads the name and the limits of a message as the SMTP server does, so that a message is accepted
by both or by neither. The settings that all line protocols share: `relate_wire`.
"""

from typing import ClassVar

from pydantic import Field, field_validator

from relate_submission.paths import is_client_name
from relate_wire.config import LineServiceSettings
from relate_wire.published import SUBMISSION_PORT, SUBMISSIONS_PORT

# The limit of large providers, including base64. RFC 5321 §4.5.3.1.7 requires at least 64 KiB.
MAX_MESSAGE_OCTETS = 50 * 1024 * 1024
# RFC 5321 §4.5.3.1.8 requires at least 100; mailing lists use more.
MAX_RECIPIENTS = 1000


class SmtpSettings(LineServiceSettings):
    """The environment's `Smtp__…` variables. Port 0 lets the system choose a port."""

    prefix: ClassVar[str] = "Smtp"

    port: int = Field(default=SUBMISSION_PORT, ge=0, le=65_535)
    """The port of submission (RFC 6409)."""
    secure_port: int = Field(default=SUBMISSIONS_PORT, ge=0, le=65_535)
    """The port of submission with implicit TLS (RFC 8314 §3.3)."""
    mx_port: int = Field(default=2525, ge=0, le=65_535)
    """The port of reception, which needs no login."""
    require_authentication: bool = True
    """Whether a submission needs a login. Nothing is relayed in either case."""
    max_message_size_bytes: int = Field(default=MAX_MESSAGE_OCTETS, ge=1)
    max_recipients: int = Field(default=MAX_RECIPIENTS, ge=1)

    @field_validator("server_name")
    @classmethod
    def _check_server_name(cls, name: str) -> str:
        """The name is sent in replies and written into trace fields."""
        if not is_client_name(name):
            raise ValueError("not a host name")
        return name
