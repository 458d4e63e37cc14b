"""Domains, host names and address literals in the form in which they are resolved and compared. Pure.

This form is ASCII in lower case without the final dot: A-labels (RFC 5890 §2.3.2.1) for an internationalized domain.
"""

import ipaddress
import re
from typing import NamedTuple

import idna

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_DOMAIN_CHARACTERS = 253
"""The longest domain: 255 octets on the wire (RFC 1035 §2.3.4) without the first length and the root."""
MAX_PORT_NUMBER = 65_535

# An underscore is not allowed in host names, but common. A length is checked per label (RFC 1035 §2.3.4).
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+")
_IPV6_LITERAL = re.compile(r"IPv6:([0-9a-f:.]+)", re.IGNORECASE)
_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")


class HostPort(NamedTuple):
    """A host, as a name or an IP address without brackets, and a TCP or UDP port."""

    host: str
    port: int


def to_ascii(domain: str) -> str | None:
    """The domain in A-labels (RFC 5891 §4, mapped by UTS 46), lower case, without its final dot; None if it is invalid.

    An IP address is no domain: RFC 5321 §4.1.3 has address literals for that.
    """
    if not domain.isascii():
        if len(domain) > MAX_DOMAIN_CHARACTERS:  # before the conversion, whose time would grow with it
            return None
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError:  # IDNAError is one
            return None
    name = domain.lower().removesuffix(".")
    return name if is_host_name(name) and parse_address(name) is None else None


def is_host_name(name: str) -> bool:
    """Whether a name consists of labels that a host name may have (RFC 1123 §2.1), or underscores."""
    return len(name) <= MAX_DOMAIN_CHARACTERS and _HOST_NAME.fullmatch(name) is not None


def parse_address(text: str) -> IPAddress | None:
    """The IP address that a text is, without brackets; None if it is none."""
    if ":" not in text and not text[-1:].isdigit():  # a tenth of the cost of the exception, for each host name
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_literal(domain: str) -> IPAddress | None:
    """The address of an address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3); None if invalid."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    text = domain[1:-1]
    tagged = _IPV6_LITERAL.fullmatch(text)
    address = parse_address(text if tagged is None else tagged[1])
    is_ipv6 = isinstance(address, ipaddress.IPv6Address)
    return address if is_ipv6 == (tagged is not None) else None


def parse_host_port(text: str, default_port: int | None = None) -> HostPort:
    """Parse `host:port`, with an IPv6 address in brackets: `[2001:db8::1]:25`.

    Raises ValueError if the host is neither a name nor an address, and without a port unless there is a default.
    """
    match = _HOST_PORT.fullmatch(text.strip())
    host = None if match is None else _host(match)
    if match is None or host is None:
        raise ValueError(f"{text!r} is not host:port")
    if match["port"] is None and default_port is None:
        raise ValueError(f"{text!r} has no port")
    port = int(match["port"] or default_port or 0)
    if not 0 < port <= MAX_PORT_NUMBER:
        raise ValueError(f"{text!r} has no valid port")
    return HostPort(host, port)


def _host(match: re.Match[str]) -> str | None:
    if match["ipv6"] is not None:
        address = parse_address(match["ipv6"])
        return str(address) if isinstance(address, ipaddress.IPv6Address) else None
    address = parse_address(match["host"])
    return to_ascii(match["host"]) if address is None else str(address)
