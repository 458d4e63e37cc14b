"""`Relay__Smarthost` and `Relay__SmarthostFor`."""

import pytest

from relate_outbound.dns.names import HostPort
from relate_relay.routing.smarthost import parse_smarthosts

DEFAULT = HostPort("smarthost.test", 587)


def test_without_a_smarthost_mail_goes_to_the_hosts_of_the_domain() -> None:
    assert parse_smarthosts().find("example.test") is None


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("example.test", HostPort("2001:db8::25", 25)),
        ("sub.example.test", HostPort("inner.test", 2525)),
        ("other.test", DEFAULT),
        ("[192.0.2.1]", DEFAULT),
    ],
)
def test_the_smarthost_of_the_domain_wins(domain: str, host: HostPort) -> None:
    smarthosts = parse_smarthosts("smarthost.test:587", "example.test=[2001:db8::25]:25, .example.test=inner.test:2525")
    assert smarthosts.find(domain) == host


def test_a_domain_may_have_a_smarthost_without_a_default() -> None:
    smarthosts = parse_smarthosts("", "example.test=smarthost.test:587")
    assert smarthosts.find("example.test") == DEFAULT
    assert smarthosts.find("other.test") is None


@pytest.mark.parametrize(("smarthost", "by_domain"), [("smarthost.test", ""), ("", "example.test=smarthost.test")])
def test_a_smarthost_has_a_port(smarthost: str, by_domain: str) -> None:
    with pytest.raises(ValueError, match=r"'smarthost.test' has no port"):
        parse_smarthosts(smarthost, by_domain)
