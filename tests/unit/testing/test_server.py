"""The URL of a server, and the names of namespaces."""

import pytest

from relate_api.developers.namespaces import parse_namespace
from relate_mail.testing import Ports, Server

PORTS = Ports(*range(1, 10))


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8"), ("::1", "http://[::1]:8"), ("localhost", "http://localhost:8")],
)
def test_the_url_has_brackets_around_an_ipv6_address(host: str, url: str) -> None:
    assert Server(host, PORTS, "key").url == url


@pytest.mark.parametrize("name", ["", "test_foo[param-1]", "_a", "-a", "a.", "a..b", ".a", "a b", "ä", "a" * 33, "a\n"])
def test_a_name_that_the_server_refuses_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 32 letters, digits"):
        Server("127.0.0.1", PORTS, "key").namespace(name)


@pytest.mark.parametrize("name", ["a", "Test-1.a_b", "a" * 32, "0"])
def test_a_name_that_the_server_accepts_is_one_here(name: str) -> None:
    assert Server("127.0.0.1", PORTS, "key").namespace(name).address("alice") == f"alice+{name}@example.test"
    assert parse_namespace(name) == name.lower()
