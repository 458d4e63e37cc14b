"""Settings of the whole process: `Limits__…`, and of mail to other servers: `Relay__…`."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from relate_config import Section
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_wire.content_budget import CONTENT_OCTETS, MEBIBYTE_OCTETS


class LimitsSettings(Section):
    """Resource limits of one process."""

    prefix: ClassVar[str] = "Limits"

    content_memory_bytes: int = Field(default=CONTENT_OCTETS, ge=MEBIBYTE_OCTETS)
    """Octets of all messages that are being received (`relate_wire.content_budget`)."""

    cache_memory_bytes: int = Field(default=CACHE_OCTETS, ge=MIN_CACHE_OCTETS)
    """Octets of all caches together (`relate_config.cache_budget`)."""


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
    health_port: int = Field(default=0, ge=0, le=65_535)
    """A port on 127.0.0.1 that answers health checks of a process of its own; 0 is none."""
    max_age_hours: float = Field(default=120.0, gt=0)
    delay_notice_hours: float = Field(default=4.0, gt=0)
    retry: str = "240,480,960,1920,3840,7680,14400"
    """Seconds from one attempt to the next; the last repeats."""
    connections_per_destination: int = Field(default=20, ge=1)
