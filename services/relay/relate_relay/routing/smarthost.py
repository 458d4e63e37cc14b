"""The smarthost of a recipient's domain: `Relay__Smarthost` and `Relay__SmarthostFor`. Pure."""

from dataclasses import dataclass

from relate_outbound.dns.names import HostPort, parse_host_port
from relate_relay.routing.domain_table import DomainTable, parse_domain_table


@dataclass(frozen=True, slots=True)
class Smarthosts:
    """The smarthost of all domains, if any, and those of single domains, which win."""

    default: HostPort | None
    by_domain: DomainTable[HostPort]

    def find(self, domain: str) -> HostPort | None:
        """The smarthost for a recipient's domain; None if mail goes to the hosts that the DNS names (`mx.find_route`).

        An address literal (RFC 5321 §4.1.3) is in no table, so that it has the default.
        """
        return self.by_domain.find(domain) or self.default


def parse_smarthosts(smarthost: str = "", smarthost_for: str = "") -> Smarthosts:
    """Parse `host:port` and `domain=host:port,.parent=host:port`; an IPv6 address is in brackets.

    Raises ValueError naming the malformed entry.
    """
    default = parse_host_port(smarthost) if smarthost.strip() else None
    return Smarthosts(default, parse_domain_table(smarthost_for, parse_host_port))
