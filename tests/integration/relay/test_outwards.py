"""The doctor's way outwards, to scripted servers on loopback: it connects, and sends no mail."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from relate.doctor import outwards
from relate.doctor.outwards import check_port, check_smarthosts
from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_relay.attempt.connector import Login, Options
from relate_relay.client.timeouts import Timeouts
from relate_relay.routing.smarthost import parse_smarthosts
from relate_relay.routing.tls_policy import TlsLevel
from relate_service.findings import Finding, Level
from relate_wire.secret import Secret
from tests.support.certificates import Authority
from tests.support.fake_dns import FakeDns
from tests.support.relay.sink import SILENT, Sink, reply

DNS = FakeDns(
    mx={
        "there.test": [MxRecord(10, "mx1.there.test"), MxRecord(20, "mx2.there.test")],
        "other.test": [MxRecord(10, "mx2.there.test")],
        "null.test": [MxRecord(0, "")],
        "dead.test": DnsFault.SERVFAIL,
    },
    addresses={"mx1.there.test": ["127.0.0.2"], "mx2.there.test": ["127.0.0.3"], "smart.test": ["127.0.0.2"]},
)
MAIL = {"MAIL", "RCPT", "DATA", "BDAT"}


@pytest.fixture
async def sinks() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def options(port: int, **changes: Any) -> Options:
    chosen: dict[str, Any] = {"mx_port": port, "private": PrivateDestinations.ALLOW, **changes}
    return Options("here.test", **chosen)


async def port_of(port: int, *domains: str, chosen: bool = True) -> Finding:
    (finding,) = await check_port(DNS, options(port), domains, chosen=chosen)
    return finding


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_server_that_answers_shows_that_the_port_is_open(sinks: AsyncExitStack) -> None:
    sink = await sinks.enter_async_context(Sink(host="127.0.0.3"))
    finding = await port_of(sink.port, "there.test")  # whose first server is down
    assert (finding.level, "mx2.there.test" in finding.text) == (Level.OK, True)
    assert sink.commands == ["EHLO", "QUIT"]


async def test_tls_is_used_where_it_is_offered(sinks: AsyncExitStack) -> None:
    sink = await sinks.enter_async_context(Sink(host="127.0.0.3", certificate=Authority().serving("mx2.there.test")))
    assert "over TLS" in (await port_of(sink.port, "other.test")).text
    assert not MAIL & {*sink.commands}


async def test_one_domain_that_answers_suffices(sinks: AsyncExitStack) -> None:
    sink = await sinks.enter_async_context(Sink(host="127.0.0.2"))
    assert (await port_of(sink.port, "other.test", "there.test")).level is Level.OK


@pytest.mark.parametrize(
    ("domains", "chosen", "level"),
    [
        (["there.test"], True, Level.ERROR),
        (["there.test", "other.test"], False, Level.ERROR),
        (["there.test"], False, Level.WARNING),  # the server may be down
        (["dead.test"], True, Level.WARNING),
        (["null.test"], True, Level.WARNING),
        ([], False, Level.OK),
    ],
)
async def test_a_port_that_no_server_answers_on(
    closed_port: int, domains: Sequence[str], chosen: bool, level: Level
) -> None:
    finding = await port_of(closed_port, *domains, chosen=chosen)
    assert finding.level is level
    assert finding.remedy


async def test_a_server_that_refuses_shows_that_the_port_is_open(sinks: AsyncExitStack) -> None:
    sink = await sinks.enter_async_context(Sink({"GREETING": reply("554 5.7.1 on a list")}, host="127.0.0.3"))
    finding = await port_of(sink.port, "other.test")
    assert (finding.level, "554 5.7.1 on a list" in finding.text) == (Level.WARNING, True)


async def test_a_silent_server_costs_a_bounded_time(sinks: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outwards, "TIMEOUTS", Timeouts(greeting_seconds=60.0))
    monkeypatch.setattr(outwards, "DESTINATION_SECONDS", 0.2)
    sink = await sinks.enter_async_context(Sink({"GREETING": SILENT}, host="127.0.0.3"))
    assert "no answer within" in (await port_of(sink.port, "other.test")).text


# --- the smarthost


async def smarthost_of(sink: Sink, login: Login | None = None, **changes: Any) -> Finding:
    smarthosts = parse_smarthosts(f"smart.test:{sink.port}")
    (finding,) = await check_smarthosts(DNS, options(25, smarthosts=smarthosts, login=login, **changes))
    return finding


async def test_a_smarthost_is_logged_in_to(sinks: AsyncExitStack) -> None:
    certificate = Authority().serving("smart.test")
    sink = await sinks.enter_async_context(Sink(host="127.0.0.2", certificate=certificate, logins={"me": "secret"}))
    for password, level in (("secret", Level.OK), ("wrong", Level.ERROR)):
        finding = await smarthost_of(sink, Login("me", Secret(password)), smarthost_level=TlsLevel.MAY)
        assert finding.level is level
        assert password not in finding.text
    assert not MAIL & {*sink.commands}


async def test_the_certificate_of_a_smarthost_is_verified(sinks: AsyncExitStack) -> None:
    certificate = Authority().serving("smart.test")  # of an authority that is not trusted
    sink = await sinks.enter_async_context(Sink(host="127.0.0.2", certificate=certificate))
    finding = await smarthost_of(sink)
    assert (finding.level, "certificate" in finding.text) == (Level.ERROR, True)


async def test_a_smarthost_without_tls_is_refused(sinks: AsyncExitStack) -> None:
    sink = await sinks.enter_async_context(Sink(host="127.0.0.2"))
    assert "does not offer TLS" in (await smarthost_of(sink)).text
    assert "without TLS" in (await smarthost_of(sink, smarthost_level=TlsLevel.MAY)).text


async def test_each_smarthost_is_checked_and_only_the_default_gets_the_login(sinks: AsyncExitStack) -> None:
    certificate = Authority().serving("smart.test")
    sink = await sinks.enter_async_context(Sink(host="127.0.0.2", certificate=certificate, logins={"me": "secret"}))
    smarthosts = parse_smarthosts("", f"a.test=smart.test:{sink.port},.b.test=smart.test:{sink.port}")
    base = options(25, smarthosts=smarthosts, smarthost_level=TlsLevel.MAY)
    (finding,) = await check_smarthosts(DNS, replace(base, login=Login("me", Secret("secret"))))
    assert finding.level is Level.OK
    assert "AUTH" not in sink.commands


async def test_a_smarthost_without_an_address_is_an_error() -> None:
    smarthosts = parse_smarthosts("missing.test:587")
    (finding,) = await check_smarthosts(DNS, options(25, smarthosts=smarthosts))
    assert finding.level is Level.ERROR
