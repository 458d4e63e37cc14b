"""Whether an SPF record permits an address (RFC 7208)."""

import ipaddress

import pytest

from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_service.dns_checks.spf import MAX_LOOKUPS, MAX_MX_HOSTS, Result, evaluate
from tests.support.fake_dns import FakeDns

HERE = ipaddress.ip_address("192.0.2.1")
HERE6 = ipaddress.ip_address("2001:db8::1")

MX = {"here.test": [MxRecord(10, "mx.here.test")], "there.test": [MxRecord(10, "mx.there.test")]}
ADDRESSES: dict[str, list[str] | DnsFault] = {
    "mx.here.test": ["2001:db8::1", "192.0.2.1"],
    "here.test": ["192.0.2.80"],
    "mx.there.test": ["198.51.100.1"],
    "dead.test": DnsFault.SERVFAIL,
}
TEXTS: dict[str, list[bytes] | DnsFault] = {
    "yes.test": [b"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/64 -all"],
    "no.test": [b"v=spf1 -all"],
    "two.test": [b"v=spf1 -all", b"v=spf1 +all"],
    "bad.test": [b"v=spf1 ip4:there -all"],
    "loop.test": [b"v=spf1 include:loop.test -all"],
    "slow.test": DnsFault.TIMEOUT,
}


def dns(record: str) -> FakeDns:
    return FakeDns(mx=MX, addresses=ADDRESSES, txt={**TEXTS, "here.test": [b"other", record.encode()]})


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1", Result.NEUTRAL),
        ("v=spf1 -all", Result.FAIL),
        ("V=SPF1 ~ALL", Result.SOFTFAIL),
        ("v=spf1 ?all", Result.NEUTRAL),
        ("v=spf1 +all", Result.PASS),
        ("v=spf1 mx -all", Result.PASS),
        ("v=spf1  mx  -all ", Result.PASS),
        ("v=spf1 -mx all", Result.FAIL),
        ("v=spf1 mx:there.test -all", Result.FAIL),
        ("v=spf1 mx:missing.test -all", Result.FAIL),
        ("v=spf1 a -all", Result.FAIL),
        ("v=spf1 a/24 -all", Result.PASS),
        ("v=spf1 a:mx.here.test -all", Result.PASS),
        ("v=spf1 a:mx.here.test/24//64 -all", Result.PASS),
        ("v=spf1 a:mx.there.test -all", Result.FAIL),
        ("v=spf1 ip4:192.0.2.1 -all", Result.PASS),
        ("v=spf1 ip4:192.0.2.2 -all", Result.FAIL),
        ("v=spf1 ip4:192.0.2.2/24 -all", Result.PASS),
        ("v=spf1 ip6:2001:db8::1 -all", Result.FAIL),
        ("v=spf1 include:yes.test -all", Result.PASS),
        ("v=spf1 include:no.test ~all", Result.SOFTFAIL),
        ("v=spf1 ?include:yes.test -all", Result.NEUTRAL),
        ("v=spf1 redirect=yes.test", Result.PASS),
        ("v=spf1 redirect=no.test", Result.FAIL),
        ("v=spf1 ~all redirect=yes.test", Result.SOFTFAIL),
        ("v=spf1 exp=why.test unknown=x mx -all", Result.PASS),
        # §4.6, §5.2, §6.1: errors
        ("v=spf1 include:missing.test mx -all", Result.PERMERROR),
        ("v=spf1 include:two.test mx -all", Result.PERMERROR),
        ("v=spf1 include:bad.test mx -all", Result.PERMERROR),
        ("v=spf1 include:loop.test mx -all", Result.PERMERROR),
        ("v=spf1 redirect=missing.test", Result.PERMERROR),
        ("v=spf1 redirect=no.test redirect=no.test", Result.PERMERROR),
        ("v=spf1 include:slow.test mx -all", Result.TEMPERROR),
        ("v=spf1 a:dead.test mx -all", Result.TEMPERROR),
        # a term is malformed, wherever it is
        ("v=spf1 mx ip4:192.0.2.256 -all", Result.PERMERROR),
        ("v=spf1 mx ip4:2001:db8::1 -all", Result.PERMERROR),
        ("v=spf1 mx ip6:192.0.2.1 -all", Result.PERMERROR),
        ("v=spf1 mx ip4 -all", Result.PERMERROR),
        ("v=spf1 mx a/33 -all", Result.PERMERROR),
        ("v=spf1 mx include -all", Result.PERMERROR),
        ("v=spf1 mx all:here.test", Result.PERMERROR),
        ("v=spf1 mx mail -all", Result.PERMERROR),
        ("v=spf1 mx; -all", Result.PERMERROR),
        ("v=spf1 mx -redirect=yes.test", Result.PERMERROR),
        ("v=spf1 a:-bad-.test mx -all", Result.PERMERROR),
        # what depends on the message
        ("v=spf1 mx ptr -all", Result.PASS),
        ("v=spf1 ptr mx -all", Result.CANNOT_TELL),
        ("v=spf1 exists:%{i}.list.test -all", Result.CANNOT_TELL),
        ("v=spf1 include:%{d}.list.test -all", Result.CANNOT_TELL),
        ("v=spf1 redirect=%{o}.list.test", Result.CANNOT_TELL),
    ],
)
async def test_the_result_of_a_record(record: str, result: Result) -> None:
    assert (await evaluate(dns(record), "here.test", HERE)).result is result


async def test_an_ipv6_address_is_compared_with_ipv6_records() -> None:
    for record in ("v=spf1 mx -all", "v=spf1 ip6:2001:db8::/32 -all", "v=spf1 a:mx.here.test//64 -all"):
        assert (await evaluate(dns(record), "here.test", HERE6)).result is Result.PASS
    assert (await evaluate(dns("v=spf1 ip4:192.0.2.1 -all"), "here.test", HERE6)).result is Result.FAIL


async def test_a_domain_has_one_record() -> None:
    assert (await evaluate(dns(""), "two.test", HERE)).result is Result.PERMERROR
    for domain in ("missing.test", "here.test"):
        assert (await evaluate(dns("v=spf10 +all"), domain, HERE)).result is Result.NONE
    assert (await evaluate(dns(""), "slow.test", HERE)).result is Result.TEMPERROR


async def test_lookups_are_limited() -> None:  # RFC 7208 §4.6.4
    terms = " ".join(["a:mx.there.test"] * MAX_LOOKUPS)
    assert (await evaluate(dns(f"v=spf1 {terms} ip4:192.0.2.1 -all"), "here.test", HERE)).result is Result.PASS
    over = await evaluate(dns(f"v=spf1 {terms} mx -all"), "here.test", HERE)
    assert (over.result, "RFC 7208" in over.reason) == (Result.PERMERROR, True)


async def test_names_without_records_are_limited() -> None:  # RFC 7208 §4.6.4
    two = "v=spf1 a:a.missing.test a:b.missing.test mx -all"
    assert (await evaluate(dns(two), "here.test", HERE)).result is Result.PASS
    three = f"v=spf1 a:c.missing.test {two.removeprefix('v=spf1 ')}"
    assert (await evaluate(dns(three), "here.test", HERE)).result is Result.PERMERROR


async def test_the_hosts_of_an_mx_are_limited() -> None:  # RFC 7208 §4.6.4
    asked = dns("v=spf1 mx:many.test -all")
    asked.mx_records["many.test"] = [MxRecord(10, "mx.there.test")] * (MAX_MX_HOSTS + 1)
    assert (await evaluate(asked, "here.test", HERE)).result is Result.PERMERROR
    asked.mx_records["many.test"] = [MxRecord(0, "")]
    assert (await evaluate(asked, "here.test", HERE)).result is Result.FAIL


async def test_the_reason_names_term_and_domain() -> None:
    assert (await evaluate(dns("v=spf1 mx:there.test ~all"), "here.test", HERE)).reason == "by ~all of here.test"
