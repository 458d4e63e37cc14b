"""Addresses that a name of a stranger must not lead to. Pure.

A name that others choose (an MX record, a policy host, the URL of a webhook) may lead to an inner service: 127.0.0.1,
10.0.0.1, a metadata service. A connection to it would be made on the stranger's behalf, so it is refused unless it is
allowed.
"""

import ipaddress
from enum import Enum

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateDestinations(Enum):
    """Whether connections go to addresses that are not globally routable; the value is the word of settings."""

    REFUSE = "refuse"
    ALLOW = "allow"

    def permits(self, address: IPAddress) -> bool:
        """Whether a connection to the address is permitted."""
        return self is PrivateDestinations.ALLOW or is_global(address)


# Not in `ipaddress.is_private` of every supported Python.
_PRIVATE_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network (RFC 791 §3.2)
            "100.64.0.0/10",  # shared address space of carriers (RFC 6598)
            "192.0.0.0/24",  # IETF protocol assignments (RFC 6890 §2.2.2)
            "192.88.99.0/24",  # relays of 6to4, deprecated (RFC 7526)
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "224.0.0.0/4",  # multicast (RFC 5771)
            "240.0.0.0/4",  # reserved, and the limited broadcast (RFC 1112 §4)
        ),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # the only range that IANA assigns to hosts (RFC 4291 §2.5.4)
_PRIVATE_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments with Teredo, benchmarks and ORCHID (RFC 2928)
            "2001:db8::/32",  # documentation (RFC 3849)
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_LOW_32_BITS_MASK = 0xFFFF_FFFF


def is_global(address: IPAddress) -> bool:
    """Whether an address is globally routable. An IPv6 address that embeds an IPv4 address is as global as that."""
    if isinstance(address, ipaddress.IPv4Address):
        return not address.is_private and not any(address in network for network in _PRIVATE_IPV4)
    embedded = _embedded(address)
    if embedded is not None:
        return is_global(embedded)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _PRIVATE_IPV6)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in an IPv4-mapped one (RFC 4291 §2.5.5.2), 6to4 (RFC 3056 §2) and NAT64 (RFC 6052 §2.1)."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _LOW_32_BITS_MASK)
    return address.ipv4_mapped or address.sixtofour
