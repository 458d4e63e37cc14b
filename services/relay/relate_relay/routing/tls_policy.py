"""The administrator's rules for TLS by destination: `Relay__TlsPolicy`. Pure."""

from dataclasses import dataclass
from enum import Enum

from relate_relay.routing.domain_table import DomainTable, parse_domain_table


class TlsLevel(Enum):
    """What a destination requires of TLS; the value is the setting's word."""

    NONE = "none"
    """TLS is not used, because the destination's is broken."""
    MAY = "may"
    """TLS if the host offers STARTTLS, with any certificate (opportunistic security, RFC 7435)."""
    REQUIRE = "require"
    """Nothing is sent without TLS; any certificate is accepted."""
    VERIFY = "verify"
    """Nothing is sent without TLS and a certificate for the host's name from a trusted authority."""


DEFAULT_LEVEL = TlsLevel.MAY


@dataclass(frozen=True, slots=True)
class TlsPolicies:
    """The rules by destination."""

    by_destination: DomainTable[TlsLevel]

    def find(self, destination: str) -> TlsLevel | None:
        """The level of a destination, of its nearest parent with a leading dot, or None if no rule names it."""
        return self.by_destination.find(destination)

    def level(self, destination: str) -> TlsLevel:
        """The level that `find` returns, else `DEFAULT_LEVEL`."""
        return self.find(destination) or DEFAULT_LEVEL


def parse_tls_policies(text: str) -> TlsPolicies:
    """Parse `destination=none|may|require|verify,…`. Raises ValueError naming the malformed entry."""
    return TlsPolicies(parse_domain_table(text, _parse_level))


def _parse_level(text: str) -> TlsLevel:
    try:
        return TlsLevel(text)
    except ValueError:
        allowed = ", ".join(level.value for level in TlsLevel)
        raise ValueError(f"{text!r} is not one of {allowed}") from None
