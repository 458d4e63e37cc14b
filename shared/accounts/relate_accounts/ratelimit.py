"""Rate limits on wrong logins: a token bucket per client network, and one per IPv6 site, in bounded tables.

A wrong login spends a token. Without a token its reply is delayed and marked as rate-limited, which slows guessing.
The limits never refuse a right key: keys have 256 random bits, so that the limit protects the database, not the key.
There is no lockout per user name, because any stranger could trigger it.
"""

import asyncio
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relate_accounts.cache import CacheGroup
from relate_accounts.clock import Monotonic
from relate_config.cache_budget import CACHE_OCTETS, share_octets

Sleep = Callable[[float], Awaitable[object]]  # takes seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` tokens, and a new one every `seconds`; at most `delayed` logins without a token wait concurrently."""

    burst: int
    seconds: float
    delayed: int


# An office behind one address may have several programs with an old key; each tries on five connections, then at most
# once per minute.
PER_CLIENT = Limit(burst=20, seconds=6, delayed=16)
# Hosting providers give one customer a /48, which is 65,536 networks of /64; together they get ten times the limit.
PER_SITE = Limit(burst=200, seconds=0.6, delayed=160)
BUCKET_OCTETS = 240  # measured with tracemalloc; an attacker with more addresses than buckets only evicts others
# The delay of a wrong login beyond the limit; shorter than the grace period of a shutdown.
DELAY_SECONDS = 2.0

_IPV6_CLIENT_BITS = 64  # the smallest network of a customer, who may use any address in it
_IPV6_SITE_BITS = 48  # RFC 6177 §2: the largest network that an end site usually gets
_LOOPBACK = "loopback"


class TokenBuckets:
    """One bucket per key, all with the same limit; unknown keys have a full one. Evicts the least recently used."""

    def __init__(self, limit: Limit, clock: Monotonic, size: int) -> None:
        self.limit = limit
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and the time of that count

    def __len__(self) -> int:
        return len(self._buckets)

    def is_empty(self, key: str) -> bool:
        """Whether less than one token is left."""
        return self._tokens(key) < 1

    def spend(self, key: str) -> None:
        """Take a token if there is one."""
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
    """Counts and delays wrong logins by client network and site."""

    def __init__(self, clock: Monotonic, sleep: Sleep = asyncio.sleep, *, cache_octets: int = CACHE_OCTETS) -> None:
        limit_octets = share_octets("wrong_logins", cache_octets)
        size = limit_octets // (2 * BUCKET_OCTETS)
        group = CacheGroup(limit_octets)
        self.caches = {"wrong_logins": group}
        self._clients = group.add(TokenBuckets(PER_CLIENT, clock, size), BUCKET_OCTETS)
        self._sites = group.add(TokenBuckets(PER_SITE, clock, size), BUCKET_OCTETS)
        self._sleep = sleep
        self._delayed: Counter[str] = Counter()  # by network

    def is_limited(self, client: str) -> bool:
        """Whether the next wrong login from this address exceeds a limit."""
        return any(buckets.is_empty(network) for buckets, network in self._buckets(client))

    def spend(self, client: str) -> bool:
        """Count a wrong login; returns whether it is within the limits."""
        within = not self.is_limited(client)
        for buckets, network in self._buckets(client):
            buckets.spend(network)
        return within

    async def delay(self, client: str) -> None:
        """Wait DELAY_SECONDS, unless `Limit.delayed` logins of this client are waiting already.

        The bound keeps a flood of wrong logins from accumulating tasks.
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
    """Return the key that counts as one client: an IPv4 address, an IPv6 /64, or loopback."""
    address = _parse(client)
    if address is None:
        return client or _LOOPBACK  # a Unix socket has no address
    if address.is_loopback:
        return _LOOPBACK
    return _network(address, _IPV6_CLIENT_BITS) if isinstance(address, ipaddress.IPv6Address) else str(address)


def client_site(client: str) -> str | None:
    """Return the IPv6 /48 of a client, None for other addresses."""
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
