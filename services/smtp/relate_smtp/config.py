"""The settings of the SMTP server: `Smtp__Port` and its like. What all line protocols share is in `relate_wire`."""

from typing import ClassVar

from pydantic import Field, field_validator

from relate_smtp.paths import is_client_name
from relate_wire.config import LineServiceSettings
from relate_wire.refusals import RefusalLimits

# What large providers take, base64 included. RFC 5321 §4.5.3.1.7 asks for 64 KiB at least.
MAX_MESSAGE = 50 * 1024 * 1024
# RFC 5321 §4.5.3.1.8 asks for 100 at least; mailing lists like more.
MAX_RECIPIENTS = 1000
# As Postfix's smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_error_sleep_time and smtpd_junk_command_limit: they
# make it slow to find out which addresses there are (RFC 5321 §7.3).
REFUSALS = RefusalLimits(
    hard=20,
    soft=10,
    delay_seconds=1.0,
    junk=100,
    junk_verbs=frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP"}),
    reset_by_progress_only=True,
)


class SmtpSettings(LineServiceSettings):
    """What the environment says about SMTP. Ports: 0 lets the system choose."""

    prefix: ClassVar[str] = "Smtp"

    port: int = Field(default=2587, ge=0, le=65_535)
    """Submission (RFC 6409)."""
    secure_port: int = Field(default=2465, ge=0, le=65_535)
    """Submission with TLS from the first octet (RFC 8314 §3.3)."""
    mx_port: int = Field(default=2525, ge=0, le=65_535)
    """Mail from strangers, for our users."""
    require_authentication: bool = True
    """Whether a submission begins with a login. Without one it is still no relay."""
    max_message_size_bytes: int = Field(default=MAX_MESSAGE, ge=1)
    max_recipients: int = Field(default=MAX_RECIPIENTS, ge=1)

    @field_validator("server_name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        """It stands in replies and trace fields."""
        if not is_client_name(name):
            raise ValueError("not a host name")
        return name
