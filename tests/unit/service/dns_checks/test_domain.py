"""The records of a domain: MX, SPF, DKIM, DMARC."""

import ipaddress
from collections.abc import Mapping

import pytest

from relate_accounts.types import DomainKey
from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_service.dns_checks.domain import Sending, check_domain, check_mta_sts, check_mx, check_spf
from relate_service.dns_checks.server import Names, Sources
from relate_service.findings import Finding, Level
from tests.support.fake_dns import FakeDns

DOMAIN = "example.test"
NAMES = Names("mail.example.test", "mail.example.test")
HERE = ipaddress.ip_address("192.0.2.1")
SENDING = Sending(Sources([HERE]))
KEY = DomainKey(
    DOMAIN,
    "s",
    {
        "s._domainkey.example.test": "v=DKIM1; k=rsa; p=QUJD",
        "s-ed25519._domainkey.example.test": "v=DKIM1; k=ed25519; p=REVG",
    },
)
RSA_NAME, ED25519_NAME = KEY.records
RSA_RECORD, ED25519_RECORD = KEY.records.values()

Texts = dict[str, list[bytes] | DnsFault]


def dns(**texts: list[bytes] | DnsFault) -> FakeDns:
    """A DNS in which everything is right but for what is given."""
    right: Texts = {
        DOMAIN: [b"v=spf1 mx -all"],
        "_dmarc.example.test": [b"v=DMARC1; p=reject"],
        **{name: [record.encode()] for name, record in KEY.records.items()},
    }
    return FakeDns(
        mx={DOMAIN: [MxRecord(10, NAMES.mx)]},
        addresses={NAMES.mx: ["192.0.2.1"], "mx.there.test": ["198.51.100.1"], "alias.example.test": ["192.0.2.1"]},
        txt={**right, **texts},
    )


async def check(asked: FakeDns, sending: Sending | None = SENDING) -> Mapping[str, Finding]:
    return {finding.subject: finding for finding in await check_domain(asked, DOMAIN, NAMES, [KEY], sending)}


async def test_a_domain_whose_records_are_right() -> None:
    found = await check(dns())
    assert list(found) == ["example.test MX", "example.test SPF", RSA_NAME, ED25519_NAME, "example.test DMARC"]
    assert [finding.level for finding in found.values()] == [Level.OK] * 5
    assert [finding.records for finding in found.values()] == [()] * 5


async def test_a_domain_without_records_is_told_each_line() -> None:
    found = await check(FakeDns())
    assert [finding.level for finding in found.values()] == [Level.ERROR] * 5
    assert [line for finding in found.values() for line in finding.records] == [
        "example.test. IN MX 10 mail.example.test.",
        'example.test. IN TXT "v=spf1 mx -all"',
        's._domainkey.example.test. IN TXT "v=DKIM1; k=rsa; p=QUJD"',
        's-ed25519._domainkey.example.test. IN TXT "v=DKIM1; k=ed25519; p=REVG"',
        '_dmarc.example.test. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.test"',
    ]


@pytest.mark.parametrize("fault", [DnsFault.SERVFAIL, DnsFault.TIMEOUT, DnsFault.REFUSED])
async def test_a_name_server_that_fails_is_no_missing_record(fault: DnsFault) -> None:
    names = (DOMAIN, "_dmarc.example.test", *KEY.records)
    found = await check(FakeDns(mx={DOMAIN: fault}, txt=dict.fromkeys(names, fault)))
    assert [finding.level for finding in found.values()] == [Level.WARNING] * 5
    assert all(fault.value in finding.text and not finding.records for finding in found.values())


# --- MX


@pytest.mark.parametrize(
    ("hosts", "level", "words"),
    [
        (["mail.example.test"], Level.OK, ""),
        (["mx.there.test", "mail.example.test"], Level.OK, ""),
        (["alias.example.test"], Level.OK, "another name"),
        (["mx.there.test"], Level.WARNING, "goes there"),
        (["missing.test"], Level.WARNING, "goes there"),
        ([""], Level.ERROR, "accepts no mail"),
        (["192.0.2.1"], Level.ERROR, "must be a name"),
    ],
)
async def test_where_an_mx_leads(hosts: list[str], level: Level, words: str) -> None:
    asked = dns()
    asked.mx_records[DOMAIN] = [MxRecord(10, host) for host in hosts]
    finding = await check_mx(asked, DOMAIN, NAMES)
    assert (finding.level, bool(finding.records)) == (level, level is not Level.OK)
    assert words in finding.text


async def test_a_domain_without_mx_may_be_this_server() -> None:  # RFC 5321 §5.1: the implicit MX
    asked = dns()
    asked.mx_records = {NAMES.mx: DnsFault.NO_DATA, "alias.example.test": DnsFault.NO_DATA, DOMAIN: DnsFault.NO_DATA}
    levels = [(await check_mx(asked, domain, NAMES)).level for domain in asked.mx_records]
    assert levels == [Level.OK, Level.OK, Level.ERROR]


# --- SPF


@pytest.mark.parametrize(
    ("records", "level", "words", "line"),
    [
        ([b"v=spf1 a:mail.example.test ~all"], Level.OK, "permits 192.0.2.1", ""),
        ([b"v=spf1 mx:there.test -all"], Level.ERROR, "fail for 192.0.2.1", "v=spf1 ip4:192.0.2.1 mx:there.test -all"),
        ([b"v=spf1"], Level.ERROR, "neutral", "v=spf1 ip4:192.0.2.1"),
        ([b"other"], Level.ERROR, "missing", "v=spf1 mx -all"),
        ([b"v=spf1 mx -all", b"v=spf1 a -all"], Level.ERROR, "none is valid", ""),
        ([b"v=spf1 mx nonsense -all"], Level.ERROR, "malformed", ""),
        ([b"v=spf1 nonsense mx -all"], Level.ERROR, "malformed", ""),
        ([b"v=spf1 exists:%{i}.list.test -all"], Level.WARNING, "cannot tell", ""),
        ([b'v=spf1 "\\ -all'], Level.ERROR, "malformed", ""),
    ],
)
async def test_what_an_spf_record_permits(records: list[bytes], level: Level, words: str, line: str) -> None:
    finding = await check_spf(dns(**{DOMAIN: records}), DOMAIN, SENDING)
    assert finding.level is level
    assert words in finding.text
    assert finding.records == ((f'example.test. IN TXT "{line}"',) if line else ())


async def test_all_addresses_that_are_not_permitted_are_added() -> None:
    sending = Sending(Sources([HERE, ipaddress.ip_address("2001:db8::1"), ipaddress.ip_address("192.0.2.2")]))
    finding = await check_spf(dns(), DOMAIN, sending)
    assert finding.records == ('example.test. IN TXT "v=spf1 ip6:2001:db8::1 ip4:192.0.2.2 mx -all"',)


async def test_an_assumed_address_is_no_proof() -> None:
    asked = dns(**{DOMAIN: [b"v=spf1 -all"]})
    assert (await check_spf(asked, DOMAIN, Sending(Sources([HERE], assumed=True)))).level is Level.WARNING
    assert (await check_spf(asked, DOMAIN, Sending(Sources([])))).level is Level.WARNING


async def test_a_domain_that_sends_nothing_may_permit_nothing() -> None:
    assert (await check_spf(dns(**{DOMAIN: [b"v=spf1 -all"]}), DOMAIN, None)).level is Level.OK
    assert (await check_spf(FakeDns(), DOMAIN, None)).records == ('example.test. IN TXT "v=spf1 mx -all"',)
    withdrawn = await check_domain(dns(), DOMAIN, NAMES, [], None)
    assert [finding.subject for finding in withdrawn] == ["example.test MX", "example.test SPF", "example.test DMARC"]


@pytest.mark.parametrize(
    ("record", "level"),
    [
        ("v=spf1 mx -all", Level.ERROR),
        ("v=spf1 -all", Level.ERROR),
        ("v=spf1 mx include:there.test -all", Level.OK),
        ("v=spf1 mx include:missing.test -all", Level.ERROR),
    ],
)
async def test_the_record_for_a_smarthost(record: str, level: Level) -> None:
    asked = dns(**{DOMAIN: [record.encode()], "there.test": [b"v=spf1 ip4:203.0.113.1 -all"]})
    finding = await check_spf(asked, DOMAIN, Sending(Sources([HERE]), "mx.there.test"))
    assert finding.level is level
    assert "manual of mx.there.test" in finding.remedy or "missing.test" in finding.text


# --- DKIM


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        ([RSA_RECORD], Level.OK, "has the public key"),
        (["k=rsa;p=QU JD;"], Level.OK, ""),
        (["p=QUJD"], Level.OK, ""),
        (["v=DKIM1; p=QUJD; h=sha1:sha256; s=email; t=s"], Level.OK, ""),
        (["v=DKIM1; p=QUJD; t=y:s"], Level.WARNING, "t=y"),
        (["v=DKIM1; p=QUJE"], Level.ERROR, "another key"),
        (["v=DKIM1; k=ed25519; p=QUJD"], Level.ERROR, "another type"),
        (["v=DKIM1; p="], Level.ERROR, "revoked"),
        (["v=DKIM1"], Level.ERROR, "another key"),
        (["v=DKIM2; p=QUJD"], Level.ERROR, "v=DKIM2"),
        (["v=DKIM1; p=QUJD; h=sha1"], Level.ERROR, "sha256"),
        (["v=DKIM1; p=QUJD; s=tlsrpt"], Level.ERROR, "email"),
        (["nonsense"], Level.ERROR, "malformed"),
        ([RSA_RECORD, RSA_RECORD.replace("D", "E")], Level.ERROR, "2 records"),
    ],
)
async def test_a_record_has_the_key_that_signs(records: list[str], level: Level, words: str) -> None:
    finding = (await check(dns(**{RSA_NAME: [record.encode() for record in records]})))[RSA_NAME]
    assert finding.level is level
    assert words in finding.text
    line = 's._domainkey.example.test. IN TXT "v=DKIM1; k=rsa; p=QUJD"'
    assert finding.records == (() if level is Level.OK else (line,))


async def test_only_the_newest_keys_must_be_published() -> None:
    older = DomainKey(DOMAIN, "older", {"older._domainkey.example.test": "v=DKIM1; k=rsa; p=QUJD"})
    found = await check_domain(dns(), DOMAIN, NAMES, [KEY, older], SENDING)
    assert "older._domainkey.example.test" not in [finding.subject for finding in found]


# --- DMARC


@pytest.mark.parametrize(
    ("texts", "level", "words"),
    [
        ([b"v=DMARC1; p=reject"], Level.OK, "p=reject"),
        ([b"v=DMARC1;p=Quarantine", b"other"], Level.OK, "p=Quarantine"),
        ([b"v=DMARC1; p=none"], Level.OK, "p=none"),
        ([b"v=DMARC1; p=none", b"v=DMARC1; p=reject"], Level.ERROR, "2 records"),
        ([b"v=DMARC1; p=refuse"], Level.ERROR, "malformed"),
        ([b"v=DMARC1"], Level.ERROR, "malformed"),
        ([b"v=DMARC2; p=none"], Level.ERROR, "missing"),
        ([b"v=DMARC10; p=none"], Level.ERROR, "missing"),
    ],
)
async def test_a_domain_has_one_policy(texts: list[bytes], level: Level, words: str) -> None:
    finding = (await check(dns(**{"_dmarc.example.test": texts})))["example.test DMARC"]
    assert finding.level is level
    assert words in finding.text
    assert bool(finding.remedy) is (level is not Level.OK or "p=none" in finding.text)


async def test_a_subdomain_has_the_policy_of_the_domain() -> None:  # RFC 7489 §6.6.3
    asked = dns()
    (*_, finding) = await check_domain(asked, "deep.sub.example.test", NAMES, [KEY], SENDING)
    assert (finding.level, finding.text) == (Level.OK, "v=DMARC1; p=reject")


# --- MTA-STS

STS_RECORD = "v=STSv1; id=20260801"
STS_NAME = "_mta-sts.example.test"


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        ([], Level.OK),
        ([b"another text"], Level.OK),
        ([STS_RECORD.encode()], Level.OK),
        ([b"v=STSv1;id=20260801;"], Level.OK),
        ([b"v=STSv1; id=20250101"], Level.WARNING),
        ([b"v=STSv1; id="], Level.WARNING),
        ([STS_RECORD.encode(), b"v=STSv1; id=20250101"], Level.ERROR),
        (DnsFault.TIMEOUT, Level.WARNING),
    ],
)
async def test_the_mta_sts_record_is_that_of_the_served_policy(texts: list[bytes] | DnsFault, level: Level) -> None:
    finding = await check_mta_sts(dns(**{STS_NAME: texts}), DOMAIN, STS_RECORD)
    assert (finding.level, finding.subject) == (level, "example.test MTA-STS")
    published = f'{STS_NAME}. IN TXT "{STS_RECORD}"' in finding.records
    assert published is (level is not Level.OK and texts is not DnsFault.TIMEOUT)


async def test_the_mta_sts_record_is_checked_only_where_a_policy_is_served() -> None:
    without, served = [
        {found.subject for found in await check_domain(dns(), DOMAIN, NAMES, [KEY], SENDING, sts_record=record)}
        for record in (None, STS_RECORD)
    ]
    assert served - without == {"example.test MTA-STS"}
