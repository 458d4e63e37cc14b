"""Domains in A-labels, address literals, and host:port."""

import ipaddress

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_outbound.dns.names import (
    MAX_DOMAIN_CHARACTERS,
    HostPort,
    is_host_name,
    parse_host_port,
    parse_literal,
    to_ascii,
)

# RFC 5890 §2.3.2.1 and RFC 5891 §4: the domain as it is resolved.
DOMAINS = {
    "example.test": "example.test",
    "EXAMPLE.Test": "example.test",
    "example.test.": "example.test",
    "a": "a",
    "host_name.example.test": "host_name.example.test",
    "r3---sn.example.test": "r3---sn.example.test",
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.Example": "xn--bcher-kva.example",
    "bücher。example": "xn--bcher-kva.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "faß.example": "xn--fa-hia.example",  # IDNA 2003 would resolve fass.example
    "例子.广告": "xn--fsqu00a.xn--4rr70v",
}
INVALID_DOMAINS = [
    "",
    ".",
    "..",
    "a..b",
    ".example.test",
    "-a.test",
    "a-.test",
    "a b.test",
    "a\r\nb.test",
    "a\0.test",
    "[192.0.2.1]",
    "192.0.2.1",
    "2001:db8::1",
    "a" * 64 + ".test",
    ".".join(["a" * 63] * 4),
    "ü" * 200 + ".example",
    "\u200b.example",
    "a\u0301" * 2_000,
    "☃.example",
    "*.example.test",
]

# RFC 5321 §4.1.3
LITERALS = {
    "[192.0.2.1]": "192.0.2.1",
    "[IPv6:2001:db8::1]": "2001:db8::1",
    "[ipv6:2001:DB8::1]": "2001:db8::1",
    "[IPv6:::ffff:192.0.2.1]": "::ffff:192.0.2.1",
}
INVALID_LITERALS = [
    "[]",
    "192.0.2.1",
    "[192.0.2.256]",
    "[192.0.2.1",
    "[2001:db8::1]",
    "[IPv6:192.0.2.1]",
    "[IPv6:fe80::1%eth0]",
    "[IPv6:]",
    "[tag:content]",
    "[example.test]",
]


@pytest.mark.parametrize(("domain", "name"), DOMAINS.items())
def test_a_domain_becomes_a_labels(domain: str, name: str) -> None:
    assert to_ascii(domain) == name


@pytest.mark.parametrize("domain", INVALID_DOMAINS)
def test_an_invalid_domain_has_no_a_labels(domain: str) -> None:
    assert to_ascii(domain) is None


def test_the_longest_domain_is_valid() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(longest) == MAX_DOMAIN_CHARACTERS
    assert to_ascii(longest) == longest
    assert to_ascii(longest + "d") is None


@given(st.text(max_size=300))
def test_a_labels_are_a_host_name_and_a_fixed_point(domain: str) -> None:
    name = to_ascii(domain)
    if name is not None:
        assert is_host_name(name)
        assert to_ascii(name) == name


@given(st.text(st.characters(categories=["Ll", "Lo"]), min_size=1, max_size=20))
def test_a_labels_are_those_of_idna_2008(label: str) -> None:
    try:
        expected = idna.encode(f"{label}.example", uts46=True).decode()
    except idna.IDNAError:
        expected = None
    assert to_ascii(f"{label}.example") == (expected if not label.isascii() else f"{label}.example")


@pytest.mark.parametrize(("literal", "address"), LITERALS.items())
def test_an_address_literal_has_its_address(literal: str, address: str) -> None:
    assert parse_literal(literal) == ipaddress.ip_address(address)


@pytest.mark.parametrize("literal", INVALID_LITERALS)
def test_an_invalid_literal_has_no_address(literal: str) -> None:
    assert parse_literal(literal) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail.example.test:587", HostPort("mail.example.test", 587)),
        (" Mail.Example.TEST:25 ", HostPort("mail.example.test", 25)),
        ("192.0.2.1:25", HostPort("192.0.2.1", 25)),
        ("[2001:DB8::1]:25", HostPort("2001:db8::1", 25)),
        ("localhost:2525", HostPort("localhost", 2525)),
        ("bücher.example:25", HostPort("xn--bcher-kva.example", 25)),
    ],
)
def test_host_and_port_are_parsed(text: str, expected: HostPort) -> None:
    assert parse_host_port(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":25", "host", "host:", "host:0", "host:65536", "host:25x", "a:b:25", "2001:db8::1", "[192.0.2.1]:25", "[::1]",
     "[::1:25", "a b:25", "[fe80::1%eth0]:25"],
)  # fmt: skip
def test_a_malformed_host_and_port_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not host:port|has no (valid )?port"):
        parse_host_port(text)


def test_the_port_may_have_a_default() -> None:
    assert parse_host_port("192.0.2.1", 53) == HostPort("192.0.2.1", 53)
    assert parse_host_port("[::1]", 53) == HostPort("::1", 53)


@given(st.text("ab.:[]-0159ü ", max_size=30))
def test_any_text_is_host_and_port_or_a_value_error(text: str) -> None:
    try:
        host, port = parse_host_port(text)
    except ValueError:
        return
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert parse_host_port(written) == (host, port)
