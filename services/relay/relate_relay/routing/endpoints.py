"""The addresses of a route, resolved as they are needed. Awaits `Dns` only.

Within a host IPv6 comes before IPv4, and both belong to the same attempt, so that a host whose IPv6 is dead is reached
by IPv4. Hosts of equal preference are resolved together: if an address and port of one is this system's own, the group
and all later ones are dropped (RFC 5321 §5.1), which has to be known before the first of the group is tried.

A route whose hosts have private addresses only fails permanently (5.4.4), because the record is the domain's published
answer: `MX 0 localhost` is an old form of the null MX (RFC 7505 §1), Exim's default router (`ignore_target_hosts`)
fails such addresses permanently, too, and a sender is better told at once than after days of retries.
"""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.names import IPAddress, parse_address
from relate_outbound.dns.ports import Dns, DnsError, DnsTemporary
from relate_relay.routing.mx import MailHost, Route
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.unroutable import Unroutable, bad_smarthost, dns_failed, mail_loop, no_host, private_only

MAX_ENDPOINTS = 20
"""The endpoints of one attempt, so that a destination with many dead addresses ends in bounded time."""
MAX_ADDRESSES_PER_FAMILY = 4
"""The addresses of a host by IPv6, and by IPv4, so that many dead IPv6 addresses leave room for IPv4."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to connect to, and the name of its host, which is the name to verify in a certificate."""

    host: str
    address: IPAddress
    port: int


async def endpoints(
    dns: Dns,
    route: Route,
    port: int,
    *,
    ourselves: Ourselves,
    private: PrivateDestinations = PrivateDestinations.REFUSE,
    max_endpoints: int = MAX_ENDPOINTS,
) -> AsyncGenerator[Endpoint | Unroutable, None]:
    """Yield the endpoints of a route, at most `max_endpoints`; or only the reason why there is none.

    The next hosts are resolved when the endpoints of those before are used up. `private` does not apply to a smarthost,
    because the administrator named it.
    """
    state = _Attempt(route, port, ourselves, PrivateDestinations.ALLOW if route.is_smarthost else private)
    count = 0
    for _, group in groupby(route.hosts, key=lambda host: host.preference):
        for endpoint in await state.resolve(dns, tuple(group)):
            yield endpoint
            count += 1
            if count == max_endpoints:
                return
        if state.looped:
            break
    if not count:
        yield state.reason()


class _Attempt:
    """What the resolved hosts of a route had instead of endpoints."""

    def __init__(self, route: Route, port: int, ourselves: Ourselves, private: PrivateDestinations) -> None:
        self._route = route
        self._port = port
        self._ourselves = ourselves
        self._private = private
        self._errors: list[DnsError] = []
        self._refused = False
        self.looped = False

    async def resolve(self, dns: Dns, hosts: Sequence[MailHost]) -> list[Endpoint]:
        """The endpoints of hosts of equal preference; none if one of them is this system."""
        results = await asyncio.gather(*(_addresses(dns, host.name) for host in hosts))
        found = {
            host.name: result for host, result in zip(hosts, results, strict=True) if not isinstance(result, DnsError)
        }
        if any(self._is_own(address) for addresses in found.values() for address in addresses):
            self.looped = True
            return []
        self._errors += [result for result in results if isinstance(result, DnsError)]
        return [endpoint for host, addresses in found.items() for endpoint in self._permitted(host, addresses)]

    def _is_own(self, address: IPAddress) -> bool:
        # The kernel connects to an IPv4-mapped address by IPv4.
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address, self._port) in self._ourselves.endpoints

    def _permitted(self, host: str, addresses: Sequence[IPAddress]) -> Iterable[Endpoint]:
        permitted = [address for address in addresses if self._private.permits(address)]
        self._refused |= len(permitted) < len(addresses)
        return [Endpoint(host, address, self._port) for address in _first_of_each_family(permitted)]

    def reason(self) -> Unroutable:
        """Why there is no endpoint. A loop is the reason only if no better host failed."""
        domain = self._route.domain
        for error in self._errors:
            if isinstance(error, DnsTemporary):
                return dns_failed(domain, error)
        if self._route.is_smarthost:
            return bad_smarthost(self._route.hosts[0].name)
        if self._refused:
            return private_only(domain)
        if self.looped and not self._errors:
            return mail_loop(domain)
        return no_host(domain)


async def _addresses(dns: Dns, host: str) -> tuple[IPAddress, ...] | DnsError:
    literal = parse_address(host)
    if literal is not None:
        return (literal,)
    try:
        return (await dns.addresses(host)).items
    except DnsError as error:
        return error


def _first_of_each_family(addresses: Sequence[IPAddress]) -> list[IPAddress]:
    ipv6 = [address for address in addresses if isinstance(address, ipaddress.IPv6Address)]
    ipv4 = [address for address in addresses if isinstance(address, ipaddress.IPv4Address)]
    return [*ipv6[:MAX_ADDRESSES_PER_FAMILY], *ipv4[:MAX_ADDRESSES_PER_FAMILY]]
