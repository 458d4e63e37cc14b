"""Connection limits and networks of trusted proxies."""

import pytest

from relate_wire.limits import Connections, Limits, is_in, parse_networks


def test_connections_are_limited_per_address() -> None:
    connections = Connections(Limits(max_connections=10, max_connections_per_address=2))
    assert [connections.admit("192.0.2.1", exempt=False) for _ in range(3)] == [True, True, False]
    assert connections.admit("192.0.2.2", exempt=False)


def test_addresses_of_one_ipv6_64_are_one_client() -> None:
    connections = Connections(Limits(max_connections_per_address=1))
    assert connections.admit("2001:db8:0:1::1", exempt=False)
    assert not connections.admit("2001:db8:0:1:ffff::2", exempt=False)
    assert connections.admit("2001:db8:0:2::1", exempt=False)
    connections.release("2001:db8:0:1::1")
    assert connections.admit("2001:db8:0:1:ffff::2", exempt=False)


def test_an_exempt_address_counts_only_towards_the_total() -> None:
    connections = Connections(Limits(max_connections=3, max_connections_per_address=1))
    assert [connections.admit("127.0.0.1", exempt=True) for _ in range(4)] == [True, True, True, False]


def test_a_released_connection_no_longer_counts() -> None:
    connections = Connections(Limits(max_connections=1))
    assert connections.admit("192.0.2.1", exempt=False)
    connections.release("192.0.2.1")
    assert connections.total == 0
    assert connections.admit("192.0.2.1", exempt=False)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("fe80::1%eth0", False),
        ("2001:db8::1", True),
    ],
)
def test_is_in_accepts_mapped_and_scoped_addresses(address: str, inside: bool) -> None:
    assert is_in(address, parse_networks("10.0.0.0/8, 2001:db8::/32")) is inside


def test_an_error_names_the_malformed_network() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/33"):
        parse_networks("::1, 10.0.0.0/33")
