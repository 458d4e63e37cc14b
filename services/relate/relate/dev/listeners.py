"""Refuses listeners that the Internet reaches, because every login is valid."""

import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

import ifaddr

from relate_config import ConfigurationError

Address = IPv4Address | IPv6Address


class Host(NamedTuple):
    """The host of a listener, and the variable that sets it."""

    host: str
    variable: str


def check_hosts(hosts: Iterable[Host], interfaces: Iterable[Address] | None = None) -> None:
    """Raise ConfigurationError if a host is, or includes, a globally routable address.

    A wildcard (`0.0.0.0`, `::`) includes the addresses of all network interfaces. Those of a container are private, so
    that it may listen on all of them; `interfaces` replaces this machine's.
    """
    own = list(interface_addresses() if interfaces is None else interfaces)
    for host, variable in hosts:
        for address in _addresses(host):
            reached = [each for each in own if _includes(address, each)] if address.is_unspecified else [address]
            for each in reached:
                if _plain(each).is_global:
                    raise ConfigurationError(
                        f"the developers' mode accepts every login, and {host} is reached from the Internet as {each}: "
                        f"set {variable} to 127.0.0.1"
                    )


def interface_addresses() -> Iterator[Address]:
    """The addresses of all network interfaces of this machine, or of the container."""
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            text = each.ip if isinstance(each.ip, str) else each.ip[0]
            yield ip_address(text.partition("%")[0])


def _addresses(host: str) -> list[Address]:
    """The addresses that a host stands for. Raises ConfigurationError."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)  # noqa: S104 - compared only
    except OSError as error:
        raise ConfigurationError(f"the host {host!r} of a listener has no address: {error.strerror}") from None
    return [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]


def _includes(wildcard: Address, address: Address) -> bool:
    """Whether a listener on all addresses gets connections to this one: `::` is IPv4's too."""
    return wildcard.version == 6 or address.version == 4


def _plain(address: Address) -> Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
