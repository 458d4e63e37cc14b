"""The DNS records of a domain and of this server, as lines of a zone file (RFC 1035 §5.1). Pure.

A line has the name with its final dot, the class and the type; its TTL is the zone's.
"""

from collections.abc import Sequence

from relate_accounts.types import DomainKey
from relate_relay.dkim.keys import zone_strings
from relate_relay.routing.names import IPAddress

SPF_OF_NONE = "v=spf1 -all"
"""No server sends mail of the domain (RFC 7208)."""
MX_PREFERENCE_NUMBER = 10


def spf(*, smarthost: bool = False) -> str:
    """The SPF record: mail of the domain comes from its MX only; with a smarthost, perhaps from other servers, too."""
    return "v=spf1 mx ?all" if smarthost else "v=spf1 mx -all"


def dmarc(domain: str) -> str:
    """The first DMARC record of a domain (RFC 7489 §6.3): other servers report, and refuse nothing because of it."""
    return f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"


def dmarc_name(domain: str) -> str:
    """The name of a domain's DMARC record (RFC 7489 §6.1)."""
    return f"_dmarc.{domain}"


def mx_line(domain: str, server: str) -> str:
    """The MX record of a domain."""
    return f"{domain}. IN MX {MX_PREFERENCE_NUMBER} {server}."


def txt_line(name: str, value: str) -> str:
    """A TXT record."""
    return f"{name}. IN TXT {zone_strings(value)}"


def address_line(name: str, address: IPAddress) -> str:
    """The A or AAAA record of a name."""
    return f"{name}. IN {'A' if address.version == 4 else 'AAAA'} {address}"


def ptr_line(address: IPAddress, name: str) -> str:
    """The PTR record of an address (RFC 1035 §3.5, RFC 3596 §2.5)."""
    return f"{address.reverse_pointer}. IN PTR {name}."


def key_lines(key: DomainKey) -> list[str]:
    """The records of the DKIM keys of a selector."""
    return [txt_line(name, value) for name, value in key.records.items()]


def domain_lines(domain: str, server: str, keys: Sequence[DomainKey], *, smarthost: bool) -> list[str]:
    """The records of a domain that receives mail at `server`, and sends from it or by a smarthost."""
    return [
        mx_line(domain, server),
        txt_line(domain, spf(smarthost=smarthost)),
        *(line for key in keys for line in key_lines(key)),
        txt_line(dmarc_name(domain), dmarc(domain)),
    ]
