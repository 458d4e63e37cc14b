"""Each record of a domain is found, different, missing or unanswered, within a time."""

import asyncio

import pytest

from relate_accounts.types import DomainKey
from relate_outbound.dns.ports import DnsFault, MxRecord, Records, SrvRecord
from relate_service.dns_checks.domain import Sending
from relate_service.dns_checks.records import Expected, LookedUp, State, look_up
from relate_service.dns_checks.server import Names, Sources
from relate_service.dns_records import Record, domain_lines, parse_line
from tests.support.fake_dns import FakeDns

DOMAIN, SERVER = "example.org", "mail.example.org"
KEY_NAME = f"s1._domainkey.{DOMAIN}"
KEY = DomainKey(DOMAIN, "s1", {KEY_NAME: "v=DKIM1; k=rsa; p=" + "A" * 300})
OLD = DomainKey(DOMAIN, "s0", {f"s0._domainkey.{DOMAIN}": "v=DKIM1; k=rsa; p=B"})
RECORDS = [
    *map(parse_line, domain_lines(DOMAIN, SERVER, [KEY, OLD], smarthost=False)),
    Record(f"_imaps._tcp.{DOMAIN}", "SRV", f"0 1 993 {SERVER}."),
    Record(f"autoconfig.{DOMAIN}", "CNAME", f"{SERVER}."),
]
PUBLISHED = FakeDns(
    mx={DOMAIN: [MxRecord(5, SERVER)]},
    txt={
        DOMAIN: [b"other-site=1", b"v=spf1 mx -all"],
        KEY_NAME: [b"k=rsa; v=DKIM1; p=" + b"A" * 300],
        f"_dmarc.{DOMAIN}": [f"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}".encode()],
    },
    srv={f"_imaps._tcp.{DOMAIN}": [SrvRecord(3, 9, 993, SERVER)]},
    cname={f"autoconfig.{DOMAIN}": [SERVER]},
)


async def results(dns: FakeDns, sending: Sending | None = None) -> dict[tuple[str, str], LookedUp]:
    expected = Expected(DOMAIN, RECORDS, [KEY, OLD], Names(SERVER, SERVER), sending)
    deadline = asyncio.get_running_loop().time() + 60
    return {(each.record.name, each.record.type): each for each in await look_up(dns, expected, deadline)}


async def test_published_records_are_found_whatever_their_order_and_preference() -> None:
    found = await results(PUBLISHED)
    missing = [name for (name, _), each in found.items() if each.state is not State.FOUND]
    assert missing == [f"s0._domainkey.{DOMAIN}"]
    assert not any(each.is_lacking for each in found.values())  # no server needs the records of older keys


async def test_a_domain_without_records_lacks_those_that_mail_needs() -> None:
    found = await results(FakeDns())
    assert {each.state for each in found.values()} == {State.MISSING}
    assert [name for (name, kind), each in found.items() if each.is_lacking] == [
        DOMAIN,
        DOMAIN,
        KEY_NAME,
        f"_dmarc.{DOMAIN}",
    ]


async def test_a_different_record_is_shown_with_what_is_wrong() -> None:
    dns = FakeDns(mx={DOMAIN: [MxRecord(10, "mx.elsewhere.example")]}, txt={KEY_NAME: [b"v=DKIM1; k=rsa; p=C"]})
    found = await results(dns)
    mx, key = found[DOMAIN, "MX"], found[KEY_NAME, "TXT"]
    assert (mx.state, mx.there) == (State.DIFFERENT, ["10 mx.elsewhere.example."])
    assert "mail for the domain goes there" in mx.remark
    assert (key.state, key.remark) == (State.DIFFERENT, "another key than the one that signs")


async def test_another_record_that_permits_this_server_serves_as_well() -> None:
    dns = FakeDns(txt={DOMAIN: [b"v=spf1 ip4:192.0.2.0/24 -all"]}, addresses={SERVER: ["192.0.2.7"]})
    sources = Sources((await dns.addresses(SERVER)).items)
    spf = (await results(dns, Sending(sources)))[DOMAIN, "TXT"]
    assert (spf.state, spf.there) == (State.SERVES, ["v=spf1 ip4:192.0.2.0/24 -all"])


async def test_a_name_without_an_alias_has_addresses_of_its_own() -> None:
    alias = (await results(FakeDns(addresses={f"autoconfig.{DOMAIN}": ["192.0.2.9"]})))[f"autoconfig.{DOMAIN}", "CNAME"]
    assert (alias.state, alias.there, alias.needed) == (State.DIFFERENT, ["192.0.2.9"], False)


@pytest.mark.parametrize("fault", [DnsFault.TIMEOUT, DnsFault.SERVFAIL])
async def test_a_failing_name_server_is_no_missing_record(fault: DnsFault) -> None:
    mx = (await results(FakeDns(mx={DOMAIN: fault})))[DOMAIN, "MX"]
    assert (mx.state, mx.is_lacking) == (State.UNANSWERED, False)
    assert fault.value in mx.remark


class Silent(FakeDns):
    """Answers no question about MX."""

    async def mx(self, domain: str) -> Records[MxRecord]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError(domain)


async def test_a_silent_name_server_holds_the_look_up_no_longer_than_its_time() -> None:
    expected = Expected(DOMAIN, RECORDS[:2], [], None, None)
    mx, spf = await look_up(Silent(txt={DOMAIN: [b"v=spf1 mx -all"]}), expected, deadline=0.0)
    assert (mx.state, mx.remark) == (State.UNANSWERED, "the DNS did not answer in time")
    assert spf.record.type == "TXT"


def test_the_text_of_a_long_record_has_neither_quotes_nor_escapes() -> None:
    assert parse_line(r'a.example. IN TXT "one \"two\" \\" "three"').text == 'one "two" \\three'
