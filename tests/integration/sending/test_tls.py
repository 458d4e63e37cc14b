"""TLS: never without it where a policy enforces it, and the reason is told; never a login without it."""

import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import Dns
from relate_relay.attempt.connector import Login, Policies
from relate_relay.attempt.requirement import Contexts
from relate_relay.client.timeouts import Timeouts
from relate_relay.routing.mta_sts import MemoryPolicyStore, MtaSts, PolicyFetcher
from relate_relay.routing.smarthost import parse_smarthosts
from relate_relay.routing.tls_policy import TlsLevel
from relate_wire.secret import Secret
from tests.integration.sending.conftest import Home
from tests.support.certificates import Authority
from tests.support.policy_host import HOST, PolicyHost
from tests.support.relay.internet import Internet
from tests.support.relay.sink import BROKEN_TLS, NO_TLS, Script, reply
from tests.support.relay.system import NEVER_AGAIN, System, TurnedClock, report_fields
from tests.support.telemetry.receiver import recording_telemetry

BOB = "bob@there.test"
POLICY = "version: STSv1\r\nmode: {}\r\nmx: mx.there.test\r\nmax_age: 86400\r\n"
PASSWORD = "tanstaafl-of-the-smarthost"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def policy_host(internet: Internet) -> AsyncIterator[PolicyHost]:
    """The host of there.test's policy, which the DNS announces."""
    internet.dns.add(f'_mta-sts.there.test TXT "v=STSv1; id=1"\nmta-sts.there.test A {HOST}')
    async with PolicyHost("mta-sts.there.test") as host:
        yield host


Start = Callable[..., System]


@pytest.fixture
def with_policies(any_home: Home, internet: Internet, policy_host: PolicyHost, authority: Authority) -> Start:
    """Makes systems that follow there.test's policy and trust the authority."""

    def policies(dns: Dns) -> Policies:
        context, port = policy_host.trusting, policy_host.port
        fetcher = PolicyFetcher(dns, private=PrivateDestinations.ALLOW, context=context, port=port)
        return MtaSts(dns, fetcher, MemoryPolicyStore())

    def make(mode: str, **options: Any) -> System:
        policy_host.body = POLICY.format(mode).encode()
        contexts = Contexts(verifying=authority.trusting)
        return any_home.system(internet, contexts=contexts, policies=policies, **options)

    return make


class Unmet(NamedTuple):
    """A server that does not meet the policy: its certificate's name, what it does, and the words of the report."""

    certificate: str
    script: Script
    reason: str


UNMET = {
    "wrong name": Unmet("mx.other.test", {}, "certificate"),
    "not offered": Unmet("", {}, "does not offer TLS"),
    "refused": Unmet("mx.there.test", {"STARTTLS": reply("454 4.7.0 not now")}, "454 4.7.0 not now"),
    "broken": Unmet("mx.there.test", {"STARTTLS": NO_TLS}, "TLS"),
}


def serving(authority: Authority, name: str) -> ssl.SSLContext | None:
    return authority.serving(name) if name else None


@pytest.mark.parametrize("unmet", UNMET.values(), ids=UNMET.keys())
async def test_an_enforced_policy_that_is_not_met_delays_the_mail_and_the_report_says_why(
    with_policies: Start, internet: Internet, authority: Authority, unmet: Unmet
) -> None:
    clock = TurnedClock()
    sink = await internet.domain("there.test", unmet.script, certificate=serving(authority, unmet.certificate))
    async with with_policies("enforce", schedule=NEVER_AGAIN, clock=clock).running() as system:
        await system.submit(BOB)
        await system.until(system.is_attempted)
        assert await system.states() == {BOB: "queued"}
        clock.now += NEVER_AGAIN.max_age_seconds
        system.wake()
        await system.until(system.is_empty)
        (report,) = await system.reports()
    (_, failed) = report_fields(report)
    assert (failed["Action"], failed["Status"]) == ("failed", "5.4.7")
    assert unmet.reason in report.as_string()
    assert "MAIL" not in sink.commands


async def test_an_enforced_policy_that_is_met_is_followed(
    with_policies: Start, internet: Internet, authority: Authority
) -> None:
    sink = await internet.domain("there.test", certificate=authority.serving("mx.there.test"))
    async with with_policies("enforce", schedule=NEVER_AGAIN).running() as system:
        await system.submit(BOB)
        await system.until(system.is_empty)
    assert [each.tls for each in sink.messages] == [True]


@pytest.mark.parametrize("name", ["mx.other.test", ""])
async def test_a_tested_policy_that_is_not_met_delays_no_mail(
    with_policies: Start, internet: Internet, authority: Authority, name: str
) -> None:
    sink = await internet.domain("there.test", certificate=serving(authority, name))
    async with with_policies("testing", schedule=NEVER_AGAIN).running() as system:
        await system.submit(BOB)
        await system.until(system.is_empty)
    assert [each.tls for each in sink.messages] == [bool(name)]


@pytest.mark.parametrize(("offered", "level"), [(True, TlsLevel.VERIFY), (False, TlsLevel.MAY)])
async def test_the_login_at_a_smarthost_is_sent_under_tls_only_and_is_in_no_span(
    any_home: Home, internet: Internet, authority: Authority, offered: bool, level: TlsLevel
) -> None:
    certificate = authority.serving("smart.test") if offered else None
    smarthost = await internet.server("smart.test", certificate=certificate, logins={"relate": PASSWORD})
    telemetry, recorder = recording_telemetry()
    options = {
        "smarthosts": parse_smarthosts(f"smart.test:{internet.port}"),
        "smarthost_level": level,
        "login": Login("relate", Secret(PASSWORD)),
        "contexts": Contexts(verifying=authority.trusting),
    }
    async with any_home.system(internet, schedule=NEVER_AGAIN, telemetry=telemetry, **options).running() as system:
        await system.submit(BOB)
        await system.until(system.is_attempted)
        assert await system.is_empty() == offered
    assert [(each.login, each.tls) for each in smarthost.messages] == [("relate", True)] * offered
    assert ("AUTH" in smarthost.commands) == offered
    assert recorder.spans("relay.attempt")
    assert PASSWORD not in recorder.everything()


@pytest.mark.parametrize("script", [{"STARTTLS": BROKEN_TLS}, {"STARTTLS": NO_TLS}, {"STARTTLS": reply("454 later")}])
async def test_without_a_policy_tls_that_fails_delays_no_mail(
    any_home: Home, internet: Internet, authority: Authority, script: Script
) -> None:
    sink = await internet.domain("there.test", script, certificate=authority.serving("mx.there.test"))
    timeouts = Timeouts(tls_seconds=1.0)
    async with any_home.system(internet, schedule=NEVER_AGAIN, timeouts=timeouts).running() as system:
        await system.submit(BOB)
        await system.until(system.is_empty)
    assert [each.tls for each in sink.messages] == [False]
