"""The route to a domain: RFC 5321 §5.1, RFC 7505, address literals (§4.1.3), IDN."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_outbound.dns.resolver import Resolver, parse_resolver
from relate_relay.routing.mx import MAX_HOSTS, MailHost, Route, find_route
from relate_relay.routing.ourselves import Ourselves
from relate_relay.routing.unroutable import Unroutable
from tests.support.dns import Behaviour, ScriptedDns
from tests.support.fake_dns import FakeDns

STRANGERS = Ourselves()
US = Ourselves.known_as(["mail.us.test", "MX.Bücher.example", "[192.0.2.1]"])

ZONE = """
example.test MX 30 mx3.example.test
example.test MX 10 mx1.example.test
example.test MX 20 MX2.example.test.
single.test MX 10 mx.example.test
implicit.test A 192.0.2.1
alias.test CNAME example.test
alias-of-implicit.test CNAME implicit.test
null.test MX 0 .
null-with-preference.test MX 10 .
null-and-more.test MX 0 .
null-and-more.test MX 10 mx.example.test
null-and-null.test MX 0 .
null-and-null.test MX 10 .
alias-of-null.test CNAME null.test
numeric.test MX 10 192.0.2.25
invalid.test MX 5 -bad-.test
invalid.test MX 6 a\\032b.test
invalid.test MX 10 mx.example.test
only-invalid.test MX 10 *.example.test
underscore.test MX 10 mx_1.example.test
repeated.test MX 20 mx.example.test
repeated.test MX 10 mx.example.test
repeated.test MX 15 other.example.test
xn--bcher-kva.example MX 10 mail.xn--bcher-kva.example
loop-a.test CNAME loop-b.test
loop-b.test CNAME loop-a.test
dangling.test CNAME missing.test
ours.test MX 10 mail.us.test
backup.test MX 10 mx.example.test
backup.test MX 20 MAIL.us.test
backup.test MX 20 equal.example.test
backup.test MX 30 worse.example.test
ours-first.test MX 10 mail.us.test
ours-first.test MX 20 worse.example.test
ours-in-idn.test MX 10 mx.xn--bcher-kva.example
mail.us.test A 192.0.2.1
"""

ROUTES = {
    # RFC 5321 §5.1: preferences
    "example.test": ["mx1.example.test", "mx2.example.test", "mx3.example.test"],
    "EXAMPLE.Test": ["mx1.example.test", "mx2.example.test", "mx3.example.test"],
    "single.test": ["mx.example.test"],
    # RFC 5321 §5.1: no MX, the domain itself; an alias is treated as the name that it stands for
    "implicit.test": ["implicit.test"],
    "alias.test": ["mx1.example.test", "mx2.example.test", "mx3.example.test"],
    "alias-of-implicit.test": ["alias-of-implicit.test"],
    # RFC 7505 §3: a null MX beside others is none
    "null-and-more.test": ["mx.example.test"],
    # names that RFC 5321 §5.1 forbids, or that are no host names
    "numeric.test": ["192.0.2.25"],
    "invalid.test": ["mx.example.test"],
    "underscore.test": ["mx_1.example.test"],
    "repeated.test": ["mx.example.test", "other.example.test"],
    # RFC 5891 §5
    "bücher.example": ["mail.xn--bcher-kva.example"],
    "xn--bcher-kva.example": ["mail.xn--bcher-kva.example"],
    # RFC 5321 §4.1.3
    "[192.0.2.1]": ["192.0.2.1"],
    "[IPv6:2001:DB8::1]": ["2001:db8::1"],
    # RFC 5321 §5.1: only hosts that are better than this system
    "backup.test": ["mx.example.test"],
}
UNROUTABLE = {
    "missing.test": ("5.1.2", False),
    "dangling.test": ("5.1.2", False),
    "-.test": ("5.1.2", False),
    "[192.0.2.256]": ("5.1.2", False),
    "[tag:content]": ("5.1.2", False),
    "null.test": ("5.1.10", False),
    "null-with-preference.test": ("5.1.10", False),
    "alias-of-null.test": ("5.1.10", False),
    "null-and-null.test": ("5.4.4", False),
    "only-invalid.test": ("5.4.4", False),
    "ours.test": ("5.4.6", False),
    "ours-first.test": ("5.4.6", False),
    "ours-in-idn.test": ("5.4.6", False),
    "mail.us.test": ("5.4.6", False),
    "loop-a.test": ("4.4.3", True),
}


async def find(domain: str, *, behaviour: Behaviour = Behaviour.ANSWER) -> Route | Unroutable:
    """The route by a scripted name server."""
    async with ScriptedDns(ZONE) as dns:
        dns.behave(domain, behaviour)
        resolver = Resolver(parse_resolver(dns.server), question_seconds=60)
        return await find_route(resolver, domain, ourselves=US, random=Random(1))


@pytest.mark.parametrize(("domain", "hosts"), ROUTES.items())
async def test_the_hosts_of_a_domain(domain: str, hosts: list[str]) -> None:
    route = await find(domain)
    assert isinstance(route, Route)
    assert [host.name for host in route.hosts] == hosts


@pytest.mark.parametrize("domain", UNROUTABLE)
async def test_a_domain_without_a_route_has_an_enhanced_code(domain: str) -> None:
    reason = await find(domain)
    assert isinstance(reason, Unroutable)
    assert (reason.enhanced, reason.temporary) == UNROUTABLE[domain]
    assert domain in reason.text


@pytest.mark.parametrize("behaviour", [Behaviour.SERVFAIL, Behaviour.REFUSED, Behaviour.ANSWER_AND_NXDOMAIN])
async def test_a_dns_that_fails_is_temporary(behaviour: Behaviour) -> None:
    reason = await find("example.test", behaviour=behaviour)
    assert isinstance(reason, Unroutable)
    assert (reason.enhanced, reason.temporary) == ("4.4.3", True)


async def test_the_domain_of_a_route_is_in_a_labels() -> None:
    route = await find("Bücher.example")
    assert isinstance(route, Route)
    assert route.domain == "xn--bcher-kva.example"


async def test_a_repeated_host_has_its_best_preference() -> None:
    route = await find("repeated.test")
    assert isinstance(route, Route)
    assert route.hosts[0] == MailHost("mx.example.test", 10)


async def test_equal_preferences_are_in_every_order() -> None:
    """RFC 5321 §5.1: the sender spreads the load over hosts of equal preference."""
    names = ["a.test", "b.test", "c.test"]
    dns = FakeDns(mx={"example.test": [MxRecord(5, "first.test"), *(MxRecord(10, name) for name in names)]})
    orders = set()
    for seed in range(200):
        route = await find_route(dns, "example.test", ourselves=STRANGERS, random=Random(seed))
        assert isinstance(route, Route)
        assert route.hosts[0].name == "first.test"
        orders.add(tuple(host.name for host in route.hosts[1:]))
    assert orders == set(itertools.permutations(names))


async def test_a_route_is_bounded() -> None:
    dns = FakeDns(mx={"example.test": [MxRecord(10, f"mx{index}.test") for index in range(100)]})
    route = await find_route(dns, "example.test", ourselves=STRANGERS)
    assert isinstance(route, Route)
    assert len(route.hosts) == MAX_HOSTS


async def test_an_invalid_domain_cannot_break_a_line() -> None:
    reason = await find_route(FakeDns(), "a\r\nb\0.test", ourselves=STRANGERS)
    assert isinstance(reason, Unroutable)
    assert reason.text.isprintable()


EXCHANGES = st.sampled_from(["", "a.test", "b.test", "c.test", "mail.us.test", "192.0.2.1", "-bad.test", "x y.test"])


@given(st.lists(st.builds(MxRecord, st.integers(0, 5), EXCHANGES), max_size=12), st.integers(0, 1_000))
async def test_any_records_give_an_ordered_route_below_this_system(records: list[MxRecord], seed: int) -> None:
    dns = FakeDns(mx={"example.test": sorted(records) or DnsFault.NO_DATA})
    route = await find_route(dns, "example.test", ourselves=US, random=Random(seed))
    own = min((record.preference for record in records if record.exchange == "mail.us.test"), default=10)
    usable = {
        record.exchange
        for record in records
        if record.preference < own and record.exchange not in ("", "-bad.test", "x y.test")
    }
    if isinstance(route, Unroutable):
        assert not usable
        assert not route.temporary
    else:
        preferences = [host.preference for host in route.hosts]
        assert preferences == sorted(preferences)
        assert [host.name for host in route.hosts] == list(dict.fromkeys(host.name for host in route.hosts))
        assert {host.name for host in route.hosts} == (usable or {"example.test"})
