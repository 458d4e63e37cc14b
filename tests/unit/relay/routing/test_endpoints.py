"""The addresses of a route, in the order in which they are tried."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import DnsFault
from relate_relay.routing.endpoints import MAX_ADDRESSES_PER_FAMILY, MAX_ENDPOINTS, Endpoint, endpoints
from relate_relay.routing.mx import MailHost, Route, smarthost_route
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.unroutable import Unroutable
from tests.support.fake_dns import FakeDns

PORT = 25
OURS = "8.8.4.4"
US = Ourselves(endpoints=frozenset({(ip_address(OURS), PORT), (ip_address("2001:4860::8844"), PORT)}))

ADDRESSES: dict[str, list[str] | DnsFault] = {
    "both.test": ["2001:4860::1", "2001:4860::2", "8.8.8.1", "8.8.8.2"],
    "ipv4.test": ["8.8.8.3"],
    "ours.test": ["8.8.8.4", OURS],
    "ours-by-ipv6.test": ["2001:4860::8844"],
    "ours-mapped.test": [f"::ffff:{OURS}"],
    "private.test": ["10.0.0.1", "::1"],
    "partly-private.test": ["127.0.0.1", "8.8.8.5"],
    "no-data.test": DnsFault.NO_DATA,
    "servfail.test": DnsFault.SERVFAIL,
    "timeout.test": DnsFault.TIMEOUT,
    "many.test": [*(f"2001:4860::{index:x}" for index in range(1, 20)), *(f"8.8.9.{index}" for index in range(20))],
}


def route(*hosts: str | tuple[str, int]) -> Route:
    """A route to hosts, each of its own preference unless it is given."""
    pairs = [(host, index * 10) if isinstance(host, str) else host for index, host in enumerate(hosts)]
    return Route("example.test", tuple(MailHost(name, preference) for name, preference in pairs))


async def collect(to: Route, dns: FakeDns | None = None, **options: Any) -> list[Endpoint | Unroutable]:
    options = {"ourselves": US, **options}
    source = dns or FakeDns(addresses=ADDRESSES)
    return [item async for item in endpoints(source, to, PORT, **options)]


async def addresses(to: Route, **options: Any) -> list[str]:
    found = await collect(to, **options)
    assert all(isinstance(item, Endpoint) for item in found)
    return [str(item.address) for item in found if isinstance(item, Endpoint)]


async def reason(to: Route, **options: Any) -> tuple[str, bool]:
    found = await collect(to, **options)
    assert len(found) == 1
    assert isinstance(found[0], Unroutable)
    return found[0].enhanced, found[0].temporary


async def test_an_endpoint_has_host_address_and_port() -> None:
    assert await collect(route("ipv4.test")) == [Endpoint("ipv4.test", ip_address("8.8.8.3"), PORT)]


async def test_all_addresses_of_all_hosts_come_ipv6_before_ipv4() -> None:
    found = await addresses(route("ipv4.test", "both.test"))
    assert found == ["8.8.8.3", "2001:4860::1", "2001:4860::2", "8.8.8.1", "8.8.8.2"]


async def test_hosts_are_resolved_when_they_are_needed() -> None:
    dns = FakeDns(addresses=ADDRESSES)
    items = endpoints(dns, route("both.test", "ipv4.test"), PORT, ourselves=US)
    for _ in range(4):
        await anext(items)
    assert dns.resolved == ["both.test"]
    await anext(items)
    assert dns.resolved == ["both.test", "ipv4.test"]
    await items.aclose()


async def test_dead_ipv6_addresses_leave_room_for_ipv4() -> None:
    found = await addresses(route("many.test"))
    assert [":" in address for address in found] == [True] * MAX_ADDRESSES_PER_FAMILY + [
        False
    ] * MAX_ADDRESSES_PER_FAMILY


async def test_the_endpoints_of_an_attempt_are_bounded() -> None:
    names = [f"many{index}.test" for index in range(10)]
    dns = FakeDns(addresses=dict.fromkeys(names, ADDRESSES["many.test"]))
    assert len(await collect(route(*names), dns)) == MAX_ENDPOINTS
    assert len(await collect(route(*names), dns, max_endpoints=3)) == 3


@pytest.mark.parametrize("literal", ["8.8.8.8", "2001:4860::1"])
async def test_an_address_is_not_resolved(literal: str) -> None:
    dns = FakeDns()
    assert await collect(route(literal), dns) == [Endpoint(literal, ip_address(literal), PORT)]
    assert dns.resolved == []


# --- hosts without addresses


async def test_a_host_without_an_address_is_skipped() -> None:
    assert await addresses(route("missing.test", "servfail.test", "ipv4.test")) == ["8.8.8.3"]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["missing.test"], ("5.4.4", False)),
        (["no-data.test"], ("5.4.4", False)),
        (["missing.test", "no-data.test"], ("5.4.4", False)),
        (["servfail.test"], ("4.4.3", True)),
        (["missing.test", "timeout.test"], ("4.4.3", True)),
        (["private.test", "timeout.test"], ("4.4.3", True)),
        (["private.test"], ("5.4.4", False)),
        (["private.test", "missing.test"], ("5.4.4", False)),
        (["localhost.test"], ("5.4.4", False)),
    ],
)
async def test_without_an_address_there_is_a_reason(hosts: list[str], expected: tuple[str, bool]) -> None:
    assert await reason(route(*hosts)) == expected


# --- private addresses


async def test_a_private_address_is_skipped() -> None:
    assert await addresses(route("partly-private.test")) == ["8.8.8.5"]


async def test_a_private_address_is_used_if_all_are_allowed() -> None:
    found = await addresses(route("partly-private.test"), private=PrivateDestinations.ALLOW)
    assert found == ["127.0.0.1", "8.8.8.5"]


async def test_a_private_address_literal_is_refused() -> None:
    assert await reason(route("127.0.0.1")) == ("5.4.4", False)


async def test_the_reason_says_that_the_addresses_are_private() -> None:
    (item,) = await collect(route("private.test"))
    assert isinstance(item, Unroutable)
    assert item.text == "The mail servers of example.test have only private addresses"


# --- smarthosts


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "private.test"])
async def test_the_smarthost_may_have_a_private_address(host: str) -> None:
    found = await addresses(smarthost_route("example.test", host), private=PrivateDestinations.REFUSE)
    assert found[0] in ("10.0.0.1", "::1")


@pytest.mark.parametrize("host", ["missing.test", "no-data.test", "ours.test", OURS])
async def test_a_wrong_smarthost_bounces_no_mail(host: str) -> None:
    (item,) = await collect(smarthost_route("example.test", host))
    assert isinstance(item, Unroutable)
    assert (item.enhanced, item.temporary) == ("4.3.5", True)
    assert host in item.text


async def test_the_dns_of_a_smarthost_may_fail() -> None:
    assert await reason(smarthost_route("example.test", "timeout.test")) == ("4.4.3", True)


# --- loops (RFC 5321 §5.1)


@pytest.mark.parametrize("host", ["ours.test", "ours-by-ipv6.test", "ours-mapped.test", OURS])
async def test_a_host_with_an_address_and_port_of_ours_is_a_loop(host: str) -> None:
    assert await reason(route(host)) == ("5.4.6", False)


async def test_our_address_at_another_port_is_no_loop() -> None:
    other = Ourselves(endpoints=frozenset({(ip_address(OURS), 2525)}))
    assert await addresses(route("ours.test"), ourselves=other) == ["8.8.8.4", OURS]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([("ipv4.test", 10), ("ours.test", 20), ("both.test", 30)], ["8.8.8.3"]),
        ([("ipv4.test", 10), ("both.test", 20), ("ours.test", 20)], ["8.8.8.3"]),
    ],
)
async def test_hosts_of_our_preference_and_above_are_dropped(
    hosts: Sequence[tuple[str, int]], expected: list[str]
) -> None:
    assert await addresses(route(*hosts)) == expected


@pytest.mark.parametrize(
    ("better", "expected"),
    [("servfail.test", ("4.4.3", True)), ("missing.test", ("5.4.4", False)), ("private.test", ("5.4.4", False))],
)
async def test_a_better_host_that_fails_is_the_reason_not_the_loop(better: str, expected: tuple[str, bool]) -> None:
    """A backup MX must not bounce mail because the DNS of the primary one is down."""
    assert await reason(route(better, "ours.test")) == expected


async def test_loopback_of_ours_is_a_loop_before_it_is_private() -> None:
    ours = Ourselves(endpoints=frozenset({(ip_address("127.0.0.1"), PORT)}))
    assert await reason(route("partly-private.test"), ourselves=ours) == ("5.4.6", False)
