"""The developers' mode does not listen where the Internet reaches it."""

from ipaddress import ip_address

import pytest

from relate.dev.listeners import Host, check_hosts, interface_addresses
from relate_config import ConfigurationError

HOST = "Smtp__Host"
# Documentation addresses count as not global, so that these are of the DNS's root servers.
GLOBAL, GLOBAL_6 = "198.41.0.4", "2001:503:ba3e::2:30"
CONTAINER = ["127.0.0.1", "172.17.0.2", "::1", "fe80::1"]


def check(host: str, interfaces: list[str] | None = None) -> None:
    check_hosts([Host(host, HOST)], [ip_address(each) for each in interfaces or CONTAINER])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "192.168.1.5", "100.64.0.1", "fd00::1"])
def test_private_addresses_are_allowed(host: str) -> None:
    check(host, [GLOBAL, GLOBAL_6])


@pytest.mark.parametrize("host", [GLOBAL, GLOBAL_6, f"::ffff:{GLOBAL}"])
def test_global_addresses_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"set {HOST} to 127.0.0.1"):
        check(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_all_addresses_of_a_container_are_allowed(host: str) -> None:
    check(host)


@pytest.mark.parametrize(("host", "interface"), [("0.0.0.0", GLOBAL), ("::", GLOBAL), ("::", GLOBAL_6), ("", GLOBAL)])
def test_all_addresses_of_a_machine_on_the_internet_are_refused(host: str, interface: str) -> None:
    with pytest.raises(ConfigurationError, match=interface):
        check(host, [*CONTAINER, interface])


def test_a_wildcard_of_ipv4_does_not_listen_on_ipv6() -> None:
    check("0.0.0.0", [*CONTAINER, GLOBAL_6])


def test_a_host_without_an_address_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="has no address"):
        check("no host\x00".replace("\x00", "!"))


def test_the_interfaces_include_loopback() -> None:
    assert ip_address("127.0.0.1") in list(interface_addresses())
