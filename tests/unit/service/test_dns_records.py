"""The records for mail programs: a zone file that names only what is served."""

from typing import Any

import dns.zone
import pytest

from relate_api.autoconfig.mta_sts import policy_record
from relate_api.installation import MtaStsSettings
from relate_service.dns_records import MAX_STRING_OCTETS, service_lines, web_lines, zone_strings
from relate_wire.published import Endpoint

DOMAIN, SERVER = "example.org", "mail.example.org"
RECORD = policy_record(MtaStsSettings(), SERVER)


def zone(lines: list[str]) -> dict[str, str]:
    """The records of lines, by name and type."""
    text = "\n".join([f"$TTL 60\n@ IN SOA {SERVER}. h 1 1 1 1 1\n@ IN NS {SERVER}.", *lines])
    parsed: Any = dns.zone.from_text(text, origin=f"{DOMAIN}.", relativize=False)
    return {
        f"{name.to_text(omit_final_dot=True)} {kind}": data.to_text()
        for kind in ("SRV", "CNAME", "TXT")
        for name, _, data in parsed.iterate_rdatas(kind)
    }


def test_programs_find_each_port_and_prefer_implicit_tls_and_imap() -> None:
    lines = service_lines(DOMAIN, Endpoint(SERVER, 587, 465), Endpoint(SERVER, 110, 995), Endpoint(SERVER, 143, 993))
    assert zone(lines) == {
        "_submissions._tcp.example.org SRV": "0 1 465 mail.example.org.",
        "_submission._tcp.example.org SRV": "10 1 587 mail.example.org.",
        "_imaps._tcp.example.org SRV": "0 1 993 mail.example.org.",
        "_imap._tcp.example.org SRV": "10 1 143 mail.example.org.",
        "_pop3s._tcp.example.org SRV": "20 1 995 mail.example.org.",
        "_pop3._tcp.example.org SRV": "30 1 110 mail.example.org.",
    }


def test_what_is_not_served_has_no_record() -> None:
    disabled, closed = Endpoint(SERVER, 110, 995, enabled=False), Endpoint(SERVER, None, 465)
    assert zone(service_lines(DOMAIN, closed, disabled, Endpoint("localhost", 143, 993))) == {
        "_submissions._tcp.example.org SRV": "0 1 465 mail.example.org."
    }
    assert service_lines(DOMAIN, *[Endpoint("192.0.2.1", 1, 2)] * 3) == []


def test_the_api_serves_autoconfiguration_and_the_policy() -> None:
    assert zone(web_lines(DOMAIN, Endpoint(SERVER, None, 443), RECORD)) == {
        "autoconfig.example.org CNAME": "mail.example.org.",
        "_autodiscover._tcp.example.org SRV": "0 1 443 mail.example.org.",
        "mta-sts.example.org CNAME": "mail.example.org.",
        "_mta-sts.example.org TXT": f'"{RECORD}"',
    }
    assert not [line for line in web_lines(DOMAIN, Endpoint(SERVER, None, 443), None) if "mta-sts" in line]


@pytest.mark.parametrize(
    "api",
    [
        Endpoint(SERVER, 8080, 8443),
        Endpoint(SERVER, 443, None),
        Endpoint(SERVER, 80, 443, enabled=False),
        Endpoint("localhost", 80, 443),
    ],
)
def test_an_api_that_is_not_reached_at_443_has_no_records(api: Endpoint) -> None:
    assert web_lines(DOMAIN, api, RECORD) == []


def test_a_zone_has_strings_of_at_most_255_octets() -> None:  # RFC 1035 §3.3.14
    record = 'v=DKIM1; k=rsa; p="\\' + "A" * MAX_STRING_OCTETS
    (parsed,) = dns.zone.from_text(
        f"$TTL 60\n@ IN SOA a. b. 1 1 1 1 1\n@ IN NS a.\nk IN TXT {zone_strings(record)}", origin="example.org."
    ).find_rdataset("k", "TXT")
    assert b"".join(parsed.strings).decode() == record
    assert [len(string) for string in parsed.strings] == [MAX_STRING_OCTETS, len(record) - MAX_STRING_OCTETS]
