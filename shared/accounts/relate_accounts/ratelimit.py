"""Limits on wrong logins: a token bucket per client and one per login name, in tables of bounded size. No I/O.

A wrong login spends a token; who has none left is not looked at until one has come back. Keys have 256 random bits, so
this is not what keeps them from being guessed: it keeps those who try from costing two queries each.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from relate_accounts.clock import Monotonic


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` at once, then one more every `seconds`."""

    burst: int
    seconds: float


# An office behind one address has several programs with an old key, each trying on five connections and then once a
# minute or less.
PER_CLIENT = Limit(burst=20, seconds=6)
# Wider in both numbers than the limit of a client, so that no client alone can lock somebody out.
PER_NAME = Limit(burst=60, seconds=2)
TABLE_SIZE = 10_000  # buckets a table: about 2 MB; an attacker with more addresses than this only makes us forget

# What a provider gives one customer at least (RFC 6177 §2): addresses within it are free to take.
_IPV6_CLIENT_BITS = 64


class TokenBuckets:
    """One bucket a key, all of the same limit; an unknown key has a full one. The table forgets the longest unused."""

    def __init__(self, limit: Limit, clock: Monotonic, size: int = TABLE_SIZE) -> None:
        self._limit = limit
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def __len__(self) -> int:
        return len(self._buckets)

    def is_empty(self, key: str) -> bool:
        """Whether no whole token is left."""
        return self._tokens(key) < 1

    def spend(self, key: str) -> None:
        """Take a token. Logins under way at once may take more than there are: nobody goes into debt for it."""
        self._buckets[key] = (max(self._tokens(key) - 1, 0), self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)

    def _tokens(self, key: str) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return self._limit.burst
        tokens, counted = bucket
        return min(tokens + (self._clock() - counted) / self._limit.seconds, self._limit.burst)


class WrongLogins:
    """Both limits together. `name` is a canonical address, None for a login without a name (REST)."""

    def __init__(self, clock: Monotonic) -> None:
        self._clients = TokenBuckets(PER_CLIENT, clock)
        self._names = TokenBuckets(PER_NAME, clock)

    def limited(self, client: str, name: str | None) -> bool:
        """Whether a login is to be refused without a look."""
        network = client_network(client)
        by_client = network is not None and self._clients.is_empty(network)
        return by_client or (name is not None and self._names.is_empty(name))

    def spend(self, client: str, name: str | None) -> None:
        """A login was wrong."""
        network = client_network(client)
        if network is not None:
            self._clients.spend(network)
        if name is not None:
            self._names.spend(name)


def client_network(client: str) -> str | None:
    """What counts as one client: an IPv4 address or an IPv6 /64; None for this machine itself.

    A webmail or a proxy on this machine speaks for everybody, so that its users would lock one another out.
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client or None  # a Unix socket has no address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return None if address.is_loopback else _ipv6_network(address)
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)


def _ipv6_network(address: ipaddress.IPv6Address) -> str:
    return str(ipaddress.IPv6Network((int(address), _IPV6_CLIENT_BITS), strict=False))
