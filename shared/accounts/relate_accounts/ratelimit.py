"""Limits on wrong logins: a token bucket per client address, and one per IPv6 site, in tables of bounded size.

A wrong login spends a token. Where none is left it is answered late and as rate-limited, so that guessing takes time.
The limits never refuse a right key: keys have 256 random bits, so what a limit protects is the database, not the key.
No user is ever locked out by name, because a stranger could then do that to anyone.
"""

import asyncio
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relate_accounts.clock import Monotonic

Sleep = Callable[[float], Awaitable[object]]  # waits for so many seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` wrong logins at once, then one more every `seconds`; beyond these, `delayed` at a time wait."""

    burst: int
    seconds: float
    delayed: int


# An office behind one address has several programs with an old key, each trying on five connections and then once a
# minute or less.
PER_CLIENT = Limit(burst=20, seconds=6, delayed=16)
# A hoster gives one customer 65,536 networks of /64: together they get ten times what one of them gets.
PER_SITE = Limit(burst=200, seconds=0.6, delayed=160)
MAX_BUCKETS = 10_000  # buckets a table: about 2 MB; an attacker with more addresses than this only makes us forget
# What a wrong login waits that is beyond the limit: shorter than the grace of a shutdown.
DELAY_SECONDS = 2.0

_IPV6_CLIENT_BITS = 64  # what one customer has at least: addresses within it are free to take
_IPV6_SITE_BITS = 48  # RFC 6177 §2: the largest network that an end site is usually given
_LOOPBACK = "loopback"


class TokenBuckets:
    """One bucket a key, all of the same limit; an unknown key has a full one. The table forgets the longest unused."""

    def __init__(self, limit: Limit, clock: Monotonic, size: int = MAX_BUCKETS) -> None:
        self.limit = limit
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def __len__(self) -> int:
        return len(self._buckets)

    def is_empty(self, key: str) -> bool:
        """Whether no whole token is left."""
        return self._tokens(key) < 1

    def spend(self, key: str) -> None:
        """Take a token, if there is one."""
        tokens = self._tokens(key)
        self._buckets[key] = (tokens - 1 if tokens >= 1 else tokens, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)

    def _tokens(self, key: str) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return self.limit.burst
        tokens, counted = bucket
        return min(tokens + (self._clock() - counted) / self.limit.seconds, self.limit.burst)


class WrongLogins:
    """The wrong logins of each client address and site."""

    def __init__(self, clock: Monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clients = TokenBuckets(PER_CLIENT, clock)
        self._sites = TokenBuckets(PER_SITE, clock)
        self._sleep = sleep
        self._delayed: Counter[str] = Counter()  # by network

    def is_limited(self, client: str) -> bool:
        """Whether the next wrong login from this address is beyond a limit."""
        return any(buckets.is_empty(network) for buckets, network in self._buckets(client))

    def spend(self, client: str) -> bool:
        """Count a wrong login; whether it is within the limits."""
        within = not self.is_limited(client)
        for buckets, network in self._buckets(client):
            buckets.spend(network)
        return within

    async def delay(self, client: str) -> None:
        """Wait DELAY_SECONDS, or not at all while as many of this client's logins wait as may.

        So a flood of wrong logins cannot pile up tasks.
        """
        buckets = self._buckets(client)
        if any(self._delayed[network] >= table.limit.delayed for table, network in buckets):
            return
        networks = [network for _, network in buckets]
        self._delayed.update(networks)
        try:
            await self._sleep(DELAY_SECONDS)
        finally:
            self._delayed.subtract(networks)
            for network in networks:
                if not self._delayed[network]:
                    del self._delayed[network]

    def _buckets(self, client: str) -> list[tuple[TokenBuckets, str]]:
        buckets = [(self._clients, client_network(client))]
        site = client_site(client)
        return buckets if site is None else [*buckets, (self._sites, site)]


def client_network(client: str) -> str:
    """What counts as one client: an IPv4 address, an IPv6 /64, or this machine."""
    address = _parse(client)
    if address is None:
        return client or _LOOPBACK  # a Unix socket has no address
    if address.is_loopback:
        return _LOOPBACK
    return _network(address, _IPV6_CLIENT_BITS) if isinstance(address, ipaddress.IPv6Address) else str(address)


def client_site(client: str) -> str | None:
    """The IPv6 /48 of a client; None where there is none."""
    address = _parse(client)
    if not isinstance(address, ipaddress.IPv6Address) or address.is_loopback:
        return None
    return _network(address, _IPV6_SITE_BITS)


def _parse(client: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(address: ipaddress.IPv6Address, bits: int) -> str:
    return str(ipaddress.IPv6Network((int(address), bits), strict=False))
