"""The client of a request: reports of trusted proxies count, those of others do not."""

import pytest

from relate_api.http.forwarded import MAX_FORWARDED_ELEMENTS, RequestClient, parse_node, resolve_client
from relate_wire.limits import parse_networks
from relate_wire.ports import Peer
from tests.support.growth import super_linear

PROXY, INNER, CLIENT, FORGED = "10.0.0.1", "10.0.0.2", "203.0.113.9", "198.51.100.66"
PROXIES = parse_networks("10.0.0.0/8, 127.0.0.0/8, 2001:db8:ffff::/48")


def resolve(*fields: tuple[str, str], peer: str = PROXY, secure: bool = False) -> RequestClient:
    octets = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    return resolve_client(Peer(peer, 49152, secure), octets, PROXIES)


def address_of(*fields: tuple[str, str]) -> str:
    return resolve(*fields).address


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For"])
@pytest.mark.parametrize("peer", [CLIENT, "127.0.0.1", "2001:db8::1"])
def test_fields_of_an_untrusted_peer_are_ignored(name: str, peer: str) -> None:
    fields = [
        (b"forwarded", b"for=1.2.3.4;proto=https"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-forwarded-proto", b"https"),
    ]
    other_proxies = parse_networks("10.0.0.0/8")
    client = resolve_client(Peer(peer, 49152), fields, other_proxies)
    assert client == RequestClient(peer, 49152, secure=False, is_loopback=peer == "127.0.0.1")
    assert resolve_client(Peer(peer, 49152), fields, ()) == client


@pytest.mark.parametrize(
    ("value", "address", "port"),
    [
        (f"for={CLIENT}", CLIENT, 0),
        (f"for={CLIENT};proto=https;by={PROXY}", CLIENT, 0),
        (f"For={CLIENT} ; PROTO=https", CLIENT, 0),
        (f'for="{CLIENT}:4711"', CLIENT, 4711),
        ('for="[2001:db8::17]:4711"', "2001:db8::17", 4711),
        ('for="[2001:DB8:0::17]"', "2001:db8::17", 0),
        ('for="[2001:db8::17]:_obfuscated"', "2001:db8::17", 0),
        (r'for="\2\0\3.0.113.9"', CLIENT, 0),
        ('for="[::ffff:203.0.113.9]"', CLIENT, 0),
        (f"for={FORGED}, for={CLIENT}", CLIENT, 0),
        (f"for={CLIENT}, for={INNER}", CLIENT, 0),
        (f"for={CLIENT},, for={INNER} ,", CLIENT, 0),
        (f'for={CLIENT}, for="[2001:db8:ffff::1]:80"', CLIENT, 0),
        (f'for=", for={CLIENT}', CLIENT, 0),
        (f'for={FORGED};x="\\, for={CLIENT}', CLIENT, 0),
        (f"nonsense, for={CLIENT}", CLIENT, 0),
        (f"for={INNER}, for={PROXY}", INNER, 0),
    ],
)
def test_forwarded_yields_the_rightmost_untrusted_address(value: str, address: str, port: int) -> None:
    client = resolve(("Forwarded", value))
    assert (client.address, client.port, client.is_loopback) == (address, port, False)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (CLIENT, CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        (f" {FORGED} ,\t{CLIENT}  ", CLIENT),
        (f"{CLIENT}, {INNER}", CLIENT),
        (f"junk, {CLIENT}", CLIENT),
        ("2001:db8::17", "2001:db8::17"),
        ("[2001:db8::17]:4711", "2001:db8::17"),
        ("::ffff:203.0.113.9", CLIENT),
        (f"{CLIENT}, ::ffff:{INNER}", CLIENT),
    ],
)
def test_x_forwarded_for_yields_the_rightmost_untrusted_address(value: str, address: str) -> None:
    assert address_of(("X-Forwarded-For", value)) == address


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For"])
def test_repeated_fields_form_one_list(name: str) -> None:
    for_ = "for=" if name == "Forwarded" else ""
    assert address_of((name, f"{for_}{FORGED}"), (name, f"{for_}{CLIENT}"), (name, f"{for_}{INNER}")) == CLIENT


@pytest.mark.parametrize(
    "value",
    [
        "unknown",
        "_hidden",
        "",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "256.1.1.1",
        "1.2.3.4:",
        "1.2.3.4:99999",
        "[1.2.3.4]",
        "fe80::1%eth0",
        "[2001:db8::17",
        "2001:db8::17]",
        "1.2.3.4 x",
        "\xb2.2.3.4",
        "http://1.2.3.4",
    ],
)
def test_an_invalid_address_is_ignored(value: str) -> None:
    assert parse_node(value) is None
    assert address_of(("X-Forwarded-For", f"{CLIENT}, {value}")) == (PROXY if value else CLIENT)
    assert address_of(("Forwarded", f'for={CLIENT}, for="{value}"')) == PROXY


@pytest.mark.parametrize(
    "element",
    [
        "for",
        "for=",
        "=x",
        "for=1.2.3.4;for=1.2.3.4",
        'for="1.2.3.4',
        "for==1.2.3.4",
        "for=1.2.3.4;",
        "for=1.2.3.4;;proto=https",
        "a b=c",
    ],
)
def test_a_malformed_element_hides_all_elements_before_it(element: str) -> None:
    assert address_of(("Forwarded", f"for={CLIENT}, {element}")) == PROXY
    assert address_of(("Forwarded", f"for={CLIENT}, {element}, for={INNER}")) == INNER


@pytest.mark.parametrize(
    ("fields", "secure"),
    [
        ([("X-Forwarded-Proto", "https")], True),
        ([("X-Forwarded-Proto", " HTTPS ")], True),
        ([("X-Forwarded-Proto", "http")], False),
        ([("X-Forwarded-Proto", "httpsx")], False),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")], True),
        ([("X-Forwarded-For", f"{CLIENT}, {INNER}"), ("X-Forwarded-Proto", "https, http")], True),
        ([("X-Forwarded-For", f"{FORGED}, {CLIENT}"), ("X-Forwarded-Proto", "https, http")], False),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https, http")], False),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "http, https")], False),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "https")], True),
        ([("Forwarded", f"for={CLIENT};proto=https")], True),
        ([("Forwarded", "proto=https")], True),
        ([("Forwarded", 'for=unknown;proto="https"')], True),
        ([("Forwarded", f"for={FORGED};proto=https, for={CLIENT};proto=http")], False),
        ([("Forwarded", f"for={CLIENT};proto=https, for={INNER};proto=http")], True),
        ([("Forwarded", f"for={CLIENT}"), ("X-Forwarded-Proto", "https")], True),
        ([("Forwarded", f"for={CLIENT};proto=https"), ("X-Forwarded-Proto", "http")], False),
    ],
)
@pytest.mark.parametrize("secure_hop", [False, True])
def test_the_protocol_is_that_of_the_client_at_the_first_proxy(
    fields: list[tuple[str, str]], secure: bool, secure_hop: bool
) -> None:
    assert resolve(*fields, secure=secure_hop).secure is secure


@pytest.mark.parametrize(
    "field", [("X-Forwarded-For", CLIENT), ("Forwarded", f"for={CLIENT}"), ("Forwarded", "for=;proto=https")]
)
@pytest.mark.parametrize("secure_hop", [False, True])
def test_the_protocol_defaults_to_that_of_the_last_hop(field: tuple[str, str], secure_hop: bool) -> None:
    assert resolve(field, secure=secure_hop).secure is secure_hop


def test_conflicting_fields_yield_the_proxy() -> None:
    forged, appended = ("Forwarded", f"for={FORGED};proto=https"), ("X-Forwarded-For", CLIENT)
    assert address_of(forged, appended) == address_of(appended, forged) == PROXY
    assert address_of(("Forwarded", f"for={CLIENT}"), appended) == CLIENT


def test_a_request_without_fields_comes_from_the_proxy_itself() -> None:
    assert resolve(peer="127.0.0.1") == RequestClient("127.0.0.1", 49152, secure=False, is_loopback=True)
    assert resolve(peer="127.0.0.1", secure=True).secure


def test_a_proxied_request_is_never_loopback() -> None:
    for field in (("X-Forwarded-Proto", "http"), ("X-Forwarded-For", "unknown"), ("Forwarded", "junk")):
        assert not resolve(field, peer="127.0.0.1").is_loopback


def test_an_ipv4_proxy_is_recognised_by_its_mapped_address() -> None:
    assert resolve(("X-Forwarded-For", CLIENT), peer=f"::ffff:{PROXY}").address == CLIENT


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("X-Forwarded-For", f"{INNER}, "),
        ("Forwarded", f"for={INNER}, "),
        ("X-Forwarded-For", "[" * 8),
        ("Forwarded", 'for="\\'),
    ],
)
def test_a_long_list_is_resolved_in_bounded_time(name: str, element: str) -> None:
    assert super_linear(resolve, lambda size: (name, f"{CLIENT}, " + element * size + INNER)) is None


def test_the_last_element_within_the_limit_is_the_client() -> None:
    proxies = ", ".join(f"10.0.1.{number}" for number in range(MAX_FORWARDED_ELEMENTS + 5, 0, -1))
    assert address_of(("X-Forwarded-For", f"{CLIENT}, {proxies}")) == f"10.0.1.{MAX_FORWARDED_ELEMENTS}"
