"""Which addresses are globally routable (RFC 6890 and the registries of IANA)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_outbound.addresses import PrivateDestinations, is_global

GLOBAL = [
    "8.8.8.8",
    "192.0.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "198.17.0.1",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]
PRIVATE = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "RFC 791 §3.2",
    "10.0.0.1": "RFC 1918",
    "172.16.0.1": "RFC 1918",
    "172.31.255.255": "RFC 1918",
    "192.168.1.1": "RFC 1918",
    "100.64.0.1": "RFC 6598",
    "100.127.255.255": "RFC 6598",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local; the metadata service of clouds",
    "192.0.0.1": "RFC 6890",
    "192.0.0.170": "RFC 7050",
    "192.0.2.1": "RFC 5737",
    "198.51.100.1": "RFC 5737",
    "203.0.113.1": "RFC 5737",
    "192.88.99.1": "RFC 7526",
    "198.18.0.1": "RFC 2544",
    "198.19.255.255": "RFC 2544",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "IPv4-compatible, RFC 4291 §2.5.5.1",
    "::ffff:127.0.0.1": "IPv4-mapped",
    "::ffff:10.0.0.1": "IPv4-mapped",
    "::ffff:169.254.169.254": "IPv4-mapped",
    "::ffff:0:127.0.0.1": "IPv4-translated, RFC 2765",
    "64:ff9b::127.0.0.1": "NAT64",
    "64:ff9b::a00:1": "NAT64",
    "64:ff9b:1::1": "NAT64 of a site, RFC 8215",
    "2002:7f00:1::1": "6to4",
    "2002:a00:1::1": "6to4",
    "2002:c0a8:101::1": "6to4",
    "100::1": "RFC 6666",
    "2001::1": "Teredo",
    "2001:2::1": "RFC 5180",
    "2001:10::1": "RFC 4843",
    "2001:db8::1": "RFC 3849",
    "3fff::1": "RFC 9637",
    "5f00::1": "RFC 9602",
    "fc00::1": "unique local",
    "fd12:3456::1": "unique local",
    "fe80::1": "link-local",
    "fec0::1": "site-local, RFC 3879",
    "ff02::1": "multicast",
    "fe80::1%eth0": "link-local with a zone",
}


@pytest.mark.parametrize("address", GLOBAL)
def test_a_global_address_is_permitted(address: str) -> None:
    assert PrivateDestinations.REFUSE.permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE, ids=lambda address: f"{address} {PRIVATE[address]}")
def test_a_private_address_is_refused_unless_all_are_allowed(address: str) -> None:
    assert not PrivateDestinations.REFUSE.permits(ipaddress.ip_address(address))
    assert PrivateDestinations.ALLOW.permits(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_as_global_as_itself(address: ipaddress.IPv4Address) -> None:
    for embedded in (
        ipaddress.IPv6Address(f"::ffff:{address}"),
        ipaddress.IPv6Address(f"64:ff9b::{address}"),
        ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80) | 1),
    ):
        assert is_global(embedded) == is_global(address)


@given(st.ip_addresses())
def test_an_address_that_python_calls_private_is_never_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    embeds = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address in ipaddress.IPv6Network("64:ff9b::/96")
    )
    if not embeds and (address.is_private or address.is_multicast or address.is_reserved or address.is_link_local):
        assert not is_global(address)
