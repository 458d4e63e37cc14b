"""The timeouts of a connection to another server (RFC 5321 §4.5.3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from relate_relay.client.commands import END_OF_CONTENT

GREETING = "GREETING"
"""Stands for a verb where the server sends the first reply."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds, each for one step: the time from a command to the end of its reply. The defaults are the RFC's."""

    connect_seconds: float = 30.0
    tls_seconds: float = 60.0
    greeting_seconds: float = 300.0  # §4.5.3.2.1
    mail_seconds: float = 300.0  # §4.5.3.2.2
    rcpt_seconds: float = 300.0  # §4.5.3.2.3
    data_seconds: float = 120.0  # §4.5.3.2.4
    block_seconds: float = 180.0  # §4.5.3.2.5: until the server has read enough of the content for more to be sent
    end_seconds: float = 600.0  # §4.5.3.2.6, also for the reply to a chunk
    other_seconds: float = 300.0  # EHLO, HELO, STARTTLS, AUTH, RSET
    quit_seconds: float = 5.0  # short, because its reply changes nothing

    def of(self, verb: str) -> float:
        """Return the timeout of the reply to a command, GREETING or END_OF_CONTENT."""
        return float(getattr(self, _FIELDS.get(verb, "other_seconds")))


_FIELDS: Mapping[str, str] = {
    GREETING: "greeting_seconds",
    "MAIL": "mail_seconds",
    "RCPT": "rcpt_seconds",
    "DATA": "data_seconds",
    "BDAT": "end_seconds",
    END_OF_CONTENT: "end_seconds",
    "QUIT": "quit_seconds",
}

DEFAULT_TIMEOUTS = Timeouts()
