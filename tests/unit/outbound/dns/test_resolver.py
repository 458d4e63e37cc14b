"""The resolver, against a scripted name server."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dns.resolver import NoResolverConfiguration

from relate_outbound.dns import resolver as module
from relate_outbound.dns.names import HostPort
from relate_outbound.dns.ports import DnsError, DnsFault, DnsPermanent, DnsTemporary, MxRecord, SrvRecord
from relate_outbound.dns.resolver import (
    MAX_NEGATIVE_TTL_SECONDS,
    MAX_RECORDS,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    Resolver,
    parse_resolver,
)
from tests.support.dns import HOST, Behaviour, Delay, Hold, ScriptedDns, dns_in_thread

# Short, because a name server that is silent uses all of it. Tests of another fault end as soon as it is found.
QUESTION_SECONDS = 0.4
TRY_SECONDS = 0.1
# Long, for tests in which an answer must come, because the machine may be busy.
AMPLE_SECONDS = 60.0

ZONE = """
example.test 600 MX 20 mx2.example.test
example.test 600 MX 10 MX1.example.test
example.test TXT "v=spf1 " "-all"
example.test TXT "other"
mx1.example.test 120 A 192.0.2.1
mx1.example.test 90 AAAA 2001:db8::1
mx1.example.test 90 AAAA 2001:db8::2
mx2.example.test A 192.0.2.2
alias.test CNAME other-alias.test
other-alias.test CNAME mx1.example.test
dangling.test CNAME missing.test
loop-a.test CNAME loop-b.test
loop-b.test CNAME loop-a.test
null.test MX 0 .
1.2.0.192.in-addr.arpa PTR mx1.example.test
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mx1.example.test
deep.below.test A 192.0.2.3
"""

Ask = Callable[[Resolver, str], Awaitable[Any]]


class Clock:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def ask(dns: ScriptedDns, **options: Any) -> Resolver:
    """A resolver that asks the scripted server once, with ample time."""
    options = {"question_seconds": AMPLE_SECONDS, "try_seconds": AMPLE_SECONDS, **options}
    return Resolver(parse_resolver(dns.server), **options)


def hurried(dns: ScriptedDns) -> Resolver:
    """A resolver that gives up soon."""
    return ask(dns, question_seconds=QUESTION_SECONDS, try_seconds=TRY_SECONDS)


def texts(addresses: tuple[Any, ...]) -> list[str]:
    return [str(address) for address in addresses]


# --- answers


async def test_mx_records_are_in_the_order_of_their_preferences() -> None:
    async with ScriptedDns(ZONE) as dns:
        records = await ask(dns).mx("example.test")
    assert records.items == (MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test"))
    assert records.ttl_seconds == 600


async def test_the_exchange_of_a_null_mx_is_empty() -> None:
    async with ScriptedDns(ZONE) as dns:
        assert (await ask(dns).mx("null.test")).items == (MxRecord(0, ""),)


async def test_ipv6_addresses_come_first_and_the_shortest_ttl_counts() -> None:
    async with ScriptedDns(ZONE) as dns:
        records = await ask(dns).addresses("mx1.example.test")
    assert sorted(texts(records.items[:2])) == ["2001:db8::1", "2001:db8::2"]
    assert texts(records.items[2:]) == ["192.0.2.1"]
    assert records.ttl_seconds == 90


async def test_one_family_of_addresses_suffices() -> None:
    async with ScriptedDns(ZONE) as dns:
        assert texts((await ask(dns).addresses("mx2.example.test")).items) == ["192.0.2.2"]


@pytest.mark.parametrize("fault", [Behaviour.SERVFAIL, Behaviour.REFUSED, Behaviour.ANSWER_AND_NXDOMAIN])
async def test_one_family_suffices_if_the_question_for_the_other_fails(fault: Behaviour) -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("mx1.example.test", fault, rdtype="AAAA")
        assert texts((await ask(dns).addresses("mx1.example.test")).items) == ["192.0.2.1"]


async def test_strings_of_a_txt_record_are_joined() -> None:
    async with ScriptedDns(ZONE) as dns:
        assert set((await ask(dns).txt("example.test")).items) == {b"v=spf1 -all", b"other"}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_an_address_has_its_names(address: str) -> None:
    async with ScriptedDns(ZONE) as dns:
        assert (await ask(dns).ptr(ipaddress.ip_address(address))).items == ("mx1.example.test",)


async def test_services_and_aliases_have_questions_of_their_own() -> None:
    zone = """
    _imaps._tcp.example.test SRV 0 1 993 Mail.example.test
    autoconfig.example.test CNAME mail.example.test
    """
    async with ScriptedDns(zone) as dns:
        asked = ask(dns)
        assert (await asked.srv("_imaps._tcp.example.test")).items == (SrvRecord(0, 1, 993, "mail.example.test"),)
        assert (await asked.cname("autoconfig.example.test")).items == ("mail.example.test",)
        with pytest.raises(DnsPermanent):
            await asked.cname("_imaps._tcp.example.test")


@pytest.mark.parametrize("behaviour", [Behaviour.ANSWER, Behaviour.UNCHASED])
async def test_aliases_are_followed_within_an_answer_and_beyond(behaviour: Behaviour) -> None:
    """RFC 1034 §3.6.2."""
    async with ScriptedDns(ZONE) as dns:
        dns.behave("alias.test", behaviour)
        dns.behave("other-alias.test", behaviour)
        records = await ask(dns).addresses("alias.test")
    assert sorted(texts(records.items[:2])) == ["2001:db8::1", "2001:db8::2"]
    assert texts(records.items[2:]) == ["192.0.2.1"]
    assert records.ttl_seconds == 90


async def test_a_truncated_answer_is_requested_over_tcp() -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", Behaviour.TRUNCATED)
        assert len((await ask(dns).mx("example.test")).items) == 2
        assert [transport for _, _, transport in dns.questions] == ["udp", "tcp"]


async def test_a_large_answer_comes_over_tcp_and_is_cut_behind_the_best_mx() -> None:
    async with ScriptedDns() as dns:
        dns.add("\n".join(f"example.test MX {600 - index} mx{index}.example.test" for index in range(600)))
        records = (await ask(dns).mx("example.test")).items
    assert [record.preference for record in records] == list(range(1, MAX_RECORDS + 1))


async def test_a_lost_datagram_is_sent_again() -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", Behaviour.SILENT, Behaviour.ANSWER)
        assert len((await ask(dns, try_seconds=TRY_SECONDS).mx("example.test")).items) == 2


async def test_forged_datagrams_are_ignored() -> None:
    """RFC 5452 §3: the ID, the name and the type have to be those of the question."""
    async with ScriptedDns(ZONE) as dns:
        dns.behave("mx2.example.test", Behaviour.FORGED_FIRST)
        assert texts((await ask(dns).addresses("mx2.example.test")).items) == ["192.0.2.2"]
        assert dns.count("mx2.example.test", "A") == 1


@pytest.mark.parametrize("host", ["localhost", "mail.localhost"])
async def test_localhost_is_not_asked_of_the_dns(host: str) -> None:
    """RFC 6761 §6.3."""
    async with ScriptedDns(f"{host} A 192.0.2.66") as dns:
        assert texts((await ask(dns).addresses(host)).items) == ["::1", "127.0.0.1"]
        assert dns.questions == []


# --- faults


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing.test", DnsFault.NXDOMAIN),
        ("dangling.test", DnsFault.NXDOMAIN),
        ("null.test", DnsFault.NO_DATA),
        ("below.test", DnsFault.NO_DATA),  # an empty non-terminal (RFC 8020 §2)
        ("a..test", DnsFault.INVALID_NAME),
        (".test", DnsFault.INVALID_NAME),
        ("a" * 64 + ".test", DnsFault.INVALID_NAME),
        (".".join(["a" * 63] * 5), DnsFault.INVALID_NAME),
        ("a\\999.test", DnsFault.INVALID_NAME),
        ("bücher.example", DnsFault.INVALID_NAME),
    ],
)
async def test_what_the_dns_denies_is_permanent(name: str, fault: DnsFault) -> None:
    async with ScriptedDns(ZONE) as dns:
        for question in (ask(dns).addresses, ask(dns).txt):
            with pytest.raises(DnsPermanent) as raised:
                await question(name)
            assert raised.value.fault is fault


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (Behaviour.SERVFAIL, DnsFault.SERVFAIL),
        (Behaviour.REFUSED, DnsFault.REFUSED),
        (Behaviour.NOTIMP, DnsFault.UNEXPECTED),
        (Behaviour.YXDOMAIN, DnsFault.UNEXPECTED),
        (Behaviour.SILENT, DnsFault.TIMEOUT),
        (Behaviour.GARBAGE, DnsFault.TIMEOUT),
        (Behaviour.WRONG_ID, DnsFault.TIMEOUT),
        (Behaviour.WRONG_QUESTION, DnsFault.TIMEOUT),
        (Behaviour.TRUNCATED_UNTIL_THE_END, DnsFault.MALFORMED),
        (Behaviour.OVERLONG, DnsFault.MALFORMED),
        (Behaviour.ANSWER_AND_NXDOMAIN, DnsFault.MALFORMED),
    ],
)
async def test_a_name_server_that_misbehaves_is_temporary(behaviour: Behaviour, fault: DnsFault) -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", behaviour)
        asking = hurried(dns) if fault is DnsFault.TIMEOUT else ask(dns)
        with pytest.raises(DnsTemporary) as raised:
            await asking.mx("example.test")
    assert raised.value.fault is fault


@pytest.mark.parametrize(
    ("over_tcp", "fault"),
    [
        (Behaviour.SERVFAIL, DnsFault.SERVFAIL),
        (Behaviour.SILENT, DnsFault.TIMEOUT),
        (Behaviour.GARBAGE, DnsFault.MALFORMED),
        (Behaviour.WRONG_ID, DnsFault.MALFORMED),
        (Behaviour.WRONG_QUESTION, DnsFault.MALFORMED),
    ],
)
async def test_a_name_server_that_misbehaves_over_tcp_is_temporary(over_tcp: Behaviour, fault: DnsFault) -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", Behaviour.TRUNCATED, over_tcp)
        asking = hurried(dns) if fault is DnsFault.TIMEOUT else ask(dns)
        with pytest.raises(DnsTemporary) as raised:
            await asking.mx("example.test")
    assert raised.value.fault is fault


@pytest.mark.parametrize("step_seconds", [3_600.0, -3_600.0])
async def test_a_clock_that_steps_during_a_question_is_temporary(
    step_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped = SimpleNamespace(time=lambda: time.time() + step_seconds)
    monkeypatch.setattr("dns.resolver.time", stepped)  # dns.asyncresolver, which starts the question, has not stepped
    async with ScriptedDns(ZONE) as dns:
        with pytest.raises(DnsTemporary) as raised:
            await ask(dns).mx("example.test")
    assert raised.value.fault is DnsFault.TIMEOUT


async def test_a_name_server_that_is_not_there_is_temporary() -> None:
    async with ScriptedDns() as dns:
        port = dns.port
    with pytest.raises(DnsTemporary) as raised:
        await Resolver(HostPort(HOST, port)).mx("example.test")
    assert raised.value.fault is DnsFault.UNREACHABLE


@pytest.mark.parametrize("behaviour", [Behaviour.ANSWER, Behaviour.UNCHASED])
async def test_a_loop_of_aliases_is_temporary(behaviour: Behaviour) -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("loop-a.test", behaviour)
        dns.behave("loop-b.test", behaviour)
        with pytest.raises(DnsTemporary) as raised:
            await ask(dns).mx("loop-a.test")
        assert raised.value.fault is DnsFault.CNAME_LOOP
        assert dns.count("loop-a.test", "MX") <= module.MAX_ALIASES


async def test_a_temporary_fault_of_one_family_wins_over_a_missing_name() -> None:
    """RFC 4074 §4.2: some name servers answer NXDOMAIN for AAAA alone."""
    async with ScriptedDns(ZONE) as dns:
        dns.behave("missing.test", Behaviour.SERVFAIL, rdtype="A")
        with pytest.raises(DnsTemporary):
            await ask(dns).addresses("missing.test")


async def test_an_error_names_the_name_and_the_fault() -> None:
    async with ScriptedDns() as dns:
        with pytest.raises(DnsError, match=r"^missing.test: the name does not exist$"):
            await ask(dns).mx("missing.test")


# --- the cache


async def test_an_answer_is_cached_until_its_ttl_ends() -> None:
    clock = Clock()
    async with ScriptedDns(ZONE) as dns:
        asking = ask(dns, clock=clock)
        await asking.mx("example.test")
        clock.seconds += 599
        assert (await asking.mx("EXAMPLE.test.")).ttl_seconds == 1
        clock.seconds += 1
        assert (await asking.mx("example.test")).ttl_seconds == 600
        assert dns.count("example.test", "MX") == 2


@pytest.mark.parametrize(
    ("ttl_seconds", "bounded_seconds"), [(0, MIN_TTL_SECONDS), (100, 100), (1_000_000, MAX_TTL_SECONDS)]
)
async def test_a_ttl_is_bounded(ttl_seconds: int, bounded_seconds: float) -> None:
    async with ScriptedDns(f"example.test {ttl_seconds} MX 10 mx.test") as dns:
        assert (await ask(dns).mx("example.test")).ttl_seconds == bounded_seconds


@pytest.mark.parametrize("name", ["missing.test", "null.test"])
@pytest.mark.parametrize(("minimum", "cached_seconds"), [(60, 60), (86_400, MAX_NEGATIVE_TTL_SECONDS)])
async def test_a_denial_is_cached_by_the_soa_minimum(name: str, minimum: int, cached_seconds: float) -> None:
    """RFC 2308 §5."""
    clock = Clock()
    async with ScriptedDns(ZONE, negative_ttl=minimum) as dns:
        asking = ask(dns, clock=clock)
        for wait_seconds in (0, cached_seconds - 1, 1):
            clock.seconds += wait_seconds
            with pytest.raises(DnsPermanent):
                await asking.txt(name)
        assert dns.count(name, "TXT") == 2


async def test_a_temporary_fault_is_not_cached() -> None:
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", Behaviour.SERVFAIL, Behaviour.ANSWER)
        asking = ask(dns)
        with pytest.raises(DnsTemporary):
            await asking.mx("example.test")
        assert len((await asking.mx("example.test")).items) == 2


async def test_the_cache_is_bounded() -> None:
    async with ScriptedDns(ZONE) as dns:
        asking = ask(dns, max_cached_answers=2)
        for name in ("mx1.example.test", "mx2.example.test", "mx1.example.test"):
            await asking.addresses(name)
        assert dns.count("mx1.example.test", "A") == 2


async def test_equal_questions_at_the_same_time_are_asked_once() -> None:
    hold = Hold()
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", hold)
        asking = ask(dns)
        questions = [asyncio.create_task(asking.mx("example.test")) for _ in range(10)]
        await hold.arrived.wait()
        questions[0].cancel()
        hold.release()
        answers = await asyncio.gather(*questions, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert {len(answer.items) for answer in answers[1:] if not isinstance(answer, BaseException)} == {2}
        assert dns.count("example.test", "MX") == 1


async def test_close_ends_the_pending_questions() -> None:
    hold = Hold()
    async with ScriptedDns(ZONE) as dns:
        dns.behave("example.test", hold)
        asking = ask(dns)
        question = asyncio.create_task(asking.mx("example.test"))
        await hold.arrived.wait()
        await asking.close()
        with pytest.raises(asyncio.CancelledError):
            await question


# --- configuration


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("", None),
        ("127.0.0.1:5353", HostPort("127.0.0.1", 5353)),
        ("192.0.2.53", HostPort("192.0.2.53", 53)),
        ("[2001:db8::53]:5353", HostPort("2001:db8::53", 5353)),
    ],
)
def test_the_resolver_of_the_setting(text: str, server: HostPort | None) -> None:
    assert parse_resolver(text) == server


@pytest.mark.parametrize("text", ["dns.example.test:53", "127.0.0.1:", "2001:db8::53"])
def test_a_resolver_that_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*' is not "):
        parse_resolver(text)


def test_the_system_name_servers_are_read_from_its_configuration(tmp_path: Path) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search example.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    servers = Resolver(resolv_conf=configuration).servers
    assert servers == (HostPort("192.0.2.53", 53), HostPort("2001:db8::53", 53))


def test_a_system_without_a_name_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoResolverConfiguration):
        Resolver(resolv_conf=tmp_path / "missing")


async def test_a_server_in_a_thread_answers() -> None:
    with dns_in_thread(ZONE) as dns:
        dns.behave("example.test", Delay(0.001))
        assert len((await ask(dns).mx("example.test")).items) == 2
