"""Settings of the whole process: `Limits__…`, of the event log: `Events__…`, of mail to other servers: `Relay__…`."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from relate_config import Section
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_mailstore.event_rules import EventRules
from relate_mailstore.queue_types import SendingLimit
from relate_wire.content_budget import CONTENT_OCTETS, MEBIBYTE_OCTETS

HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400


class LimitsSettings(Section):
    """Limits on the memory of one process, and on what an account may send, whichever processes it sends by."""

    prefix: ClassVar[str] = "Limits"

    content_memory_bytes: int = Field(default=CONTENT_OCTETS, ge=MEBIBYTE_OCTETS)
    """Octets of all messages that are being received (`relate_wire.content_budget`)."""

    cache_memory_bytes: int = Field(default=CACHE_OCTETS, ge=MIN_CACHE_OCTETS)
    """Octets of all caches together (`relate_config.cache_budget`)."""

    recipients_per_hour: int = Field(default=200, ge=0)
    """Recipients on other servers that an account may send to in an hour; 0 is no limit. Mail beyond it is held.

    No person writes to so many; the thief of a password does, and then other servers refuse the domain's mail.
    """

    recipients_per_day: int = Field(default=1_000, ge=0)

    def sending(self) -> tuple[SendingLimit, ...]:
        """The limits on what an account may send."""
        limits = (HOUR_SECONDS, self.recipients_per_hour), (DAY_SECONDS, self.recipients_per_day)
        return tuple(SendingLimit(period, recipients) for period, recipients in limits if recipients)


class EventsSettings(Section):
    """What the event log stores; see `relate_mailstore.event_rules`."""

    prefix: ClassVar[str] = "Events"

    addresses: Literal["clear", "hash"] = "clear"
    """Whether senders and recipients are stored in clear, or as hashes of which a known address can be found."""
    retention_days: int = Field(default=30, ge=1)
    refused_per_client_hour: int = Field(default=100, ge=1)
    """Refusals of one client address that are stored by themselves; further ones are counted."""

    @property
    def rules(self) -> EventRules:
        """The rules of the store."""
        return EventRules(self.addresses, self.retention_days, self.refused_per_client_hour)


class JaegerSettings(Section):
    """Where operators see traces; only for links."""

    prefix: ClassVar[str] = "Jaeger"

    url: str = Field(default="", max_length=200, pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$")
    """The address of Jaeger's pages, `http://127.0.0.1:16686`; without it `relate where` prints no links."""


class RelaySettings(Section):
    """Mail to other servers. The SMTP service reads them, too, because it accepts such mail only if it is enabled."""

    prefix: ClassVar[str] = "Relay"

    enabled: bool = False
    """Whether users may send mail to other servers; if not, it is refused."""
    resolver: str = ""
    """A name server, `192.0.2.53` or `127.0.0.1:5353`; by default those of the system."""
    mx_port: int = Field(default=25, ge=1, le=65_535)
    helo_name: str = ""
    """The name in EHLO; by default `Smtp__ServerName`."""
    smarthost: str = ""
    """`host:port` of a server that gets all mail, in place of the servers that the DNS names."""
    smarthost_user: str = ""
    smarthost_password: str = Field(default="", repr=False)
    smarthost_tls: Literal["verify", "may"] = "verify"
    smarthost_for: str = ""
    """`domain=host:port,…`: the smarthosts of single domains."""
    tls_policy: str = ""
    """`destination=none|may|require|verify,…`"""
    private_destinations: Literal["refuse", "allow"] = "refuse"
    """Whether mail may be sent to addresses that are not globally routable; those of a smarthost may be any."""
    key_directory: Path | None = None
    """The folder of the private DKIM keys; by default `dkim` beside an SQLite database, else `var/dkim`."""
    workers: int = Field(default=1, ge=1)
    """Processes that send, when the relay is a service of its own; one per core is enough."""
    health_port: int = Field(default=0, ge=0, le=65_535)
    """A port on 127.0.0.1 that answers health checks of a process of its own; 0 is none."""
    max_age_hours: float = Field(default=120.0, gt=0)
    delay_notice_hours: float = Field(default=4.0, gt=0)
    retry: str = "240,480,960,1920,3840,7680,14400"
    """Seconds from one attempt to the next; the last repeats."""
    connections_per_destination: int = Field(default=20, ge=1)
    """Of all relays together."""
    takeover_seconds: float = Field(default=30.0, gt=0)
    """How long a relay may be silent before the others, or the next start, take over what it was sending."""
