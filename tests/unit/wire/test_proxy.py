"""The PROXY protocol's binary header, parsed and encoded."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_wire.proxy import (
    HEADER_OCTETS,
    MAX_REST_OCTETS,
    SIGNATURE,
    ProxyError,
    encode,
    parse_addresses,
    parse_preamble,
)
from tests.support.examples import examples

PROXY, LOCAL = 0x21, 0x20
UNSPEC, TCP4, TCP6 = 0x00, 0x11, 0x21

V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 51234, 2525)
V6 = bytes.fromhex("20010db8000000000000000000000001" * 2) + struct.pack("!HH", 40000, 2993)
MAPPED = (bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1])) * 2 + struct.pack("!HH", 51234, 2525)
TLVS = b"\x01\x00\x02h2" + b"\x04\x00\x00"

quick = settings(max_examples=examples(100))


def header(command: int = PROXY, family: int = TCP4, length: int = 12) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, length)


@pytest.mark.parametrize(
    ("command", "family", "rest", "expected"),
    [
        (PROXY, TCP4, V4, ("192.0.2.1", 51234)),
        (PROXY, TCP4, V4 + TLVS, ("192.0.2.1", 51234)),
        (PROXY, TCP6, V6, ("2001:db8::1", 40000)),
        (PROXY, TCP6, V6 + TLVS, ("2001:db8::1", 40000)),
        (PROXY, TCP6, MAPPED, ("192.0.2.1", 51234)),
        (PROXY, UNSPEC, b"", None),
        (PROXY, UNSPEC, V4, None),
        (PROXY, 0x12, V4, None),
        (PROXY, 0x22, V6, None),
        (PROXY, 0x31, bytes(216), None),
        (PROXY, 0x32, bytes(216), None),
        (LOCAL, UNSPEC, b"", None),
        (LOCAL, TCP4, V4, None),
        (LOCAL, 0xFF, TLVS, None),
    ],
)
def test_parse_addresses_returns_the_source(
    command: int, family: int, rest: bytes, expected: tuple[str, int] | None
) -> None:
    preamble = header(command, family, len(rest))
    assert parse_preamble(preamble) == len(rest)
    assert parse_addresses(preamble, rest) == expected


@pytest.mark.parametrize(
    "preamble",
    [
        b"",
        header()[:-1],
        header() + b"\0",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 2525\r\n"[:HEADER_OCTETS],
        b"EHLO example.com\r\n"[:HEADER_OCTETS],
        header().replace(b"QUIT", b"quit"),
        header(command=0x11),
        header(command=0x31),
        header(command=0x22),
        header(length=MAX_REST_OCTETS + 1),
        header(length=65_535),
    ],
)
def test_a_malformed_header_is_refused(preamble: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_preamble(preamble)
    with pytest.raises(ProxyError):
        parse_addresses(preamble, V4)


@pytest.mark.parametrize(
    ("preamble", "rest"),
    [
        (header(length=12), V4[:-1]),
        (header(length=12), V4 + b"\0"),
        (header(length=11), V4[:11]),
        (header(length=0), b""),
        (header(family=TCP6, length=12), V4),
        (header(family=TCP6, length=35), V6[:35]),
        (header(family=0x13), V4),
        (header(family=0x10), V4),
        (header(family=0x41), V4),
        (header(LOCAL, length=12), V4[:-1]),
    ],
)
def test_truncated_or_unknown_addresses_are_refused(preamble: bytes, rest: bytes) -> None:
    assert parse_preamble(preamble) <= MAX_REST_OCTETS
    with pytest.raises(ProxyError):
        parse_addresses(preamble, rest)


def test_longest_rest_is_accepted() -> None:
    rest = V4.ljust(MAX_REST_OCTETS, b"\0")
    preamble = header(length=MAX_REST_OCTETS)
    assert parse_preamble(preamble) == MAX_REST_OCTETS
    assert parse_addresses(preamble, rest) == ("192.0.2.1", 51234)


def test_encode_writes_the_documented_layout() -> None:
    assert encode(("192.0.2.1", 51234), ("198.51.100.2", 2525)) == header() + V4
    assert encode(("2001:db8::1", 40000), ("2001:db8::1", 2993)) == header(family=TCP6, length=36) + V6


def test_addresses_of_different_families_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="IPv4"):
        encode(("192.0.2.1", 1), ("::1", 2))


ports = st.integers(0, 65_535)


@quick
@given(
    addresses=st.one_of(
        st.tuples(*[st.ip_addresses(v=4)] * 2),
        st.tuples(*[st.ip_addresses(network="2001:db8::/32")] * 2),
    ),
    source_port=ports,
    destination_port=ports,
)
def test_encoding_and_parsing_round_trips(
    addresses: tuple[object, object], source_port: int, destination_port: int
) -> None:
    source, destination = map(str, addresses)
    octets = encode((source, source_port), (destination, destination_port))
    preamble, rest = octets[:HEADER_OCTETS], octets[HEADER_OCTETS:]
    assert parse_preamble(preamble) == len(rest)
    assert parse_addresses(preamble, rest) == (source, source_port)


@quick
@given(
    preamble=st.binary(max_size=20) | st.binary(min_size=4, max_size=4).map(SIGNATURE.__add__),
    rest=st.binary(max_size=60),
)
def test_any_octets_are_an_address_or_refused(preamble: bytes, rest: bytes) -> None:
    try:
        parsed = parse_addresses(preamble, rest)
    except ProxyError:
        return
    assert parsed is None or (parsed[0] and 0 <= parsed[1] <= 65_535)
