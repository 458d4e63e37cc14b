"""Limits on time and on the number of connections, each with its reason."""

import ipaddress
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Idle time after which a session ends (RFC 5321 §4.5.3.2.7: 5 min; RFC 1939 §3: 10; RFC 9051 §5.4: 30).
SESSION_TIMEOUT_SECONDS = 300.0
# Per process. The next limit would be the kernel's file table, which affects the whole process.
MAX_CONNECTIONS = 20_000
# Per client. Loopback is exempt: a webmail or a proxy on this machine connects for many users.
MAX_CONNECTIONS_PER_ADDRESS = 200

_IPV6_CLIENT_BITS = 64

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one service; times in seconds."""

    session_timeout: float = SESSION_TIMEOUT_SECONDS
    handshake_timeout: float = 20.0
    """For the PROXY preamble, and for the TLS handshake."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose connections must begin with a PROXY v2 preamble, which is trusted. None is read from others."""


class Connections:
    """Counts open connections, in total and per client."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_client: Counter[str] = Counter()
        self.total = 0

    def admit(self, address: str, exempt: bool) -> bool:
        """Count one more connection from this address; returns False if that exceeds a limit."""
        client = client_of(address)
        if self.total >= self._limits.max_connections or not (exempt or self._is_below_limit(client)):
            return False
        self.total += 1
        self._by_client[client] += 1
        return True

    def release(self, address: str) -> None:
        """Count one connection from this address less."""
        self.total -= 1
        self._discount(client_of(address))

    @contextmanager
    def behind_proxy(self, address: str, exempt: bool) -> Iterator[bool]:
        """Count an admitted connection for the client that a proxy named, too; yields whether the limit allows it."""
        client = client_of(address)
        admitted = exempt or self._is_below_limit(client)
        self._by_client[client] += 1
        try:
            yield admitted
        finally:
            self._discount(client)

    def _is_below_limit(self, client: str) -> bool:
        return self._by_client.get(client, 0) < self._limits.max_connections_per_address

    def _discount(self, client: str) -> None:
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]


def client_of(address: str) -> str:
    """Return the key that counts as one client: an IPv4 address, or the IPv6 /64 of one customer (RFC 6177 §2)."""
    if ":" not in address:
        return address
    ip = ipaddress.IPv6Address(address.partition("%")[0])
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip), _IPV6_CLIENT_BITS), strict=False))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse `10.0.0.0/8, ::1`. Raises ValueError naming the item that is no network."""
    return tuple(ipaddress.ip_network(item.strip(), strict=False) for item in text.split(",") if item.strip())


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address, or the IPv4 address that it maps into IPv6, belongs to any of these networks."""
    if not networks:
        return False
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in networks)


def raise_open_files() -> int:
    """Raise the soft limit on open files to the hard limit; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
