"""What clients may know of this installation: where its services are reached, and which features it has."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from relate_api.config import ApiSettings, OidcSettings
from relate_config import Section, load
from relate_service.config import RelaySettings
from relate_submission.config import SmtpSettings
from relate_wire.published import Endpoint, ImapPorts, Pop3Ports, endpoint

WEEK_SECONDS, YEAR_SECONDS = 604_800, 31_557_600
UNREACHED = Endpoint("localhost", None, None)


class MtaStsSettings(Section):
    """The MTA-STS policy of all local domains (RFC 8461 §3.2); see `relate_api.autoconfig.mta_sts`."""

    prefix: ClassVar[str] = "MtaSts"

    mode: Literal["none", "testing", "enforce"] = "testing"
    max_age_seconds: int = Field(default=WEEK_SECONDS, ge=1, le=YEAR_SECONDS)
    """How long other servers keep the policy."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where clients reach the services, and what else they may know.

    `relays` means that mail leaves, and `smarthost` that it leaves by another server.
    """

    smtp: Endpoint
    pop3: Endpoint
    imap: Endpoint
    oidc: OidcSettings = field(default_factory=OidcSettings)
    mta_sts: MtaStsSettings = field(default_factory=MtaStsSettings)
    relays: bool = False
    smarthost: bool = False
    api: Endpoint = UNREACHED


def load_installation(smtp: SmtpSettings, api: ApiSettings, relay: RelaySettings) -> Installation:
    """Read the rest of the installation from the environment. Raises ConfigurationError."""
    return Installation(
        endpoint(smtp),
        endpoint(load(Pop3Ports, partial=True)),
        endpoint(load(ImapPorts, partial=True)),
        load(OidcSettings),
        load(MtaStsSettings),
        relay.enabled,
        bool(relay.smarthost),
        endpoint(api),
    )
