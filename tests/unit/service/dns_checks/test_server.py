"""The name of this server in the DNS, and the PTR records of its addresses."""

import ipaddress

import pytest

from relate_outbound.addresses import is_global
from relate_outbound.dns.ports import DnsFault
from relate_service.dns_checks.server import (
    Names,
    Sources,
    check_name,
    check_ptr,
    check_server,
    global_sources,
    own_names,
)
from relate_service.findings import Finding, Level
from tests.support.fake_dns import FakeDns

# Addresses of the root servers, because those for documentation are not globally routable.
HERE, HERE6 = ipaddress.ip_address("198.41.0.4"), ipaddress.ip_address("2001:503:ba3e::2:30")
OTHER = ipaddress.ip_address("199.9.14.201")
NAME = "mail.example.test"
NAMES = Names(NAME, NAME)
PTR_LINE = "4.0.41.198.in-addr.arpa. IN PTR mail.example.test."


@pytest.mark.parametrize(
    ("server", "helo", "variable"),
    [
        ("localhost", "", "Smtp__ServerName"),
        ("mail", "", "Smtp__ServerName"),
        ("192.0.2.1", "", "Smtp__ServerName"),
        ("localhost.localdomain", "", "Smtp__ServerName"),
        ("mail.example.test", "[192.0.2.1]", "Relay__HeloName"),
    ],
)
def test_a_name_that_the_dns_cannot_have(server: str, helo: str, variable: str) -> None:
    finding = own_names(server, helo)
    assert isinstance(finding, Finding)
    assert (finding.level, variable in finding.remedy) == (Level.ERROR, True)


def test_the_names_are_in_a_labels() -> None:
    assert own_names("Mail.Bücher.example", "") == ("mail.xn--bcher-kva.example",) * 2
    assert own_names("mx.example.test", "out.example.test") == ("mx.example.test", "out.example.test")


@pytest.mark.parametrize(
    ("addresses", "own", "level", "lines"),
    [
        (["198.41.0.4"], [HERE], Level.OK, []),
        (["198.41.0.4"], [], Level.OK, []),
        (["2001:503:ba3e::2:30", "198.41.0.4", "199.9.14.201"], [HERE, HERE6], Level.OK, []),
        (["199.9.14.201"], [HERE], Level.WARNING, ["mail.example.test. IN A 198.41.0.4"]),
        (["198.41.0.4"], [HERE, HERE6], Level.WARNING, ["mail.example.test. IN AAAA 2001:503:ba3e::2:30"]),
        (["10.0.0.1"], [], Level.ERROR, ["mail.example.test. IN A ADDRESS"]),
        (DnsFault.NXDOMAIN, [HERE], Level.ERROR, ["mail.example.test. IN A 198.41.0.4"]),
        (DnsFault.NO_DATA, [], Level.ERROR, ["mail.example.test. IN A ADDRESS"]),
        (DnsFault.SERVFAIL, [HERE], Level.WARNING, []),
    ],
)
async def test_the_name_has_the_addresses_of_this_machine(
    addresses: list[str] | DnsFault, own: list[ipaddress.IPv4Address], level: Level, lines: list[str]
) -> None:
    finding = await check_name(FakeDns(addresses={NAME: addresses}), NAME, own)
    assert (finding.level, list(finding.records)) == (level, lines)


@pytest.mark.parametrize(
    ("names", "level", "words"),
    [
        ([NAME], Level.OK, "leads back"),
        (["host.provider.test", NAME], Level.OK, "leads back"),
        (["host.provider.test"], Level.WARNING, "EHLO says mail.example.test"),
        (["other.test"], Level.ERROR, "does not lead back"),
        (["missing.test"], Level.ERROR, "does not lead back"),
        (DnsFault.NXDOMAIN, Level.ERROR, "missing"),
        (DnsFault.NO_DATA, Level.ERROR, "missing"),
        (DnsFault.TIMEOUT, Level.WARNING, "cannot tell"),
    ],
)
async def test_the_name_of_an_address(names: list[str] | DnsFault, level: Level, words: str) -> None:
    addresses: dict[str, list[str] | DnsFault] = {
        NAME: ["198.41.0.4"],
        "host.provider.test": ["198.41.0.4"],
        "other.test": ["199.9.14.201"],
    }
    finding = await check_ptr(FakeDns(addresses=addresses, ptr={"198.41.0.4": names}), HERE, NAMES)
    assert finding.level is level
    assert words in finding.text
    expected = (PTR_LINE,) if names is not DnsFault.TIMEOUT and level is not Level.OK else ()
    assert finding.records == expected


async def test_a_name_that_does_not_lead_back_needs_an_address() -> None:
    asked = FakeDns(addresses={NAME: ["199.9.14.201"]}, ptr={"198.41.0.4": [NAME]})
    finding = await check_ptr(asked, HERE, NAMES)
    assert finding.records == ("mail.example.test. IN A 198.41.0.4",)


async def test_a_server_that_sends_has_both_names_and_each_address_checked() -> None:
    names = Names(NAME, "out.example.test")
    leaving = Sources([HERE, OTHER])
    sending = await check_server(FakeDns(), names, [HERE], leaving)
    assert [finding.subject for finding in sending] == ["server name"] * 2 + [f"PTR {HERE}", f"PTR {OTHER}"]
    assert [finding.subject for finding in await check_server(FakeDns(), names, [HERE], None)] == ["server name"]


def test_only_global_addresses_are_this_machines() -> None:
    assert all(map(is_global, global_sources()))
