"""Fetching a policy by HTTPS (RFC 8461 §3.3), from a server on loopback."""

from pathlib import Path
from typing import Any

import pytest

from relate_outbound.addresses import PrivateDestinations
from relate_outbound.dns.ports import DnsFault
from relate_relay.routing.mta_sts import Mode, Policy, PolicyFetcher, StsFault
from relate_relay.routing.mta_sts.policy import MAX_POLICY_OCTETS
from tests.support.fake_dns import FakeDns
from tests.support.policy_host import HOST, HostBehaviour, PolicyHost

DOMAIN = "example.test"
NAME = f"mta-sts.{DOMAIN}"
TEXT = "version: STSv1\nmode: enforce\nmx: *.example.test\nmax_age: 86400\n"
POLICY = Policy(Mode.ENFORCE, ("*.example.test",), 86_400)
# Short, because a host that is silent uses all of it.
FETCH_SECONDS = 0.5
DEAD = "127.0.0.2"  # no test listens there


async def fetch(host: PolicyHost, *addresses: str, **options: Any) -> Policy | StsFault:
    dns = FakeDns(addresses={NAME: list(addresses) or [HOST]})
    options = {"private": PrivateDestinations.ALLOW, "context": host.trusting, "port": host.port, **options}
    return await PolicyFetcher(dns, **options).fetch(DOMAIN)


async def test_a_policy_is_fetched_by_its_name_from_the_checked_address() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        assert await fetch(host) == POLICY
    head = host.requests[0].lower().splitlines()
    assert head[0] == "get /.well-known/mta-sts.txt http/1.1"
    assert f"host: {NAME}:{host.port}" in head
    assert host.server_names == [NAME]


async def test_the_next_address_is_tried() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        assert await fetch(host, DEAD, HOST) == POLICY


async def test_a_private_address_is_never_connected_to() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        found = await fetch(host, HOST, "::ffff:127.0.0.1", "10.0.0.1", private=PrivateDestinations.REFUSE)
    assert found is StsFault.FETCH_ERROR
    assert host.server_names == []


async def test_the_name_is_resolved_once() -> None:
    """Another answer between the check of an address and its use (DNS rebinding) cannot matter."""
    dns = FakeDns(addresses={NAME: [HOST]})
    async with PolicyHost(NAME, TEXT) as host:
        fetcher = PolicyFetcher(dns, private=PrivateDestinations.ALLOW, context=host.trusting, port=host.port)
        assert await fetcher.fetch(DOMAIN) == POLICY
    assert dns.resolved == [NAME]


@pytest.mark.parametrize("fault", [DnsFault.NXDOMAIN, DnsFault.NO_DATA, DnsFault.SERVFAIL])
async def test_a_host_without_an_address_is_a_fetch_error(fault: DnsFault) -> None:
    dns = FakeDns(addresses={NAME: fault})
    assert await PolicyFetcher(dns).fetch(DOMAIN) is StsFault.FETCH_ERROR


@pytest.mark.parametrize("name", ["example.test", "mta-sts.other.test", "*.other.test"])
async def test_a_certificate_for_another_name_is_refused(name: str) -> None:
    async with PolicyHost(name, TEXT) as host:
        assert await fetch(host) is StsFault.WEBPKI_INVALID
    assert host.requests == []


async def test_a_certificate_with_a_wildcard_is_accepted() -> None:
    async with PolicyHost("*.example.test", TEXT) as host:
        assert await fetch(host) == POLICY


async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        assert await fetch(host, context=None) is StsFault.WEBPKI_INVALID


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.status = status
        host.headers["Location"] = f"https://{NAME}:{host.port}/.well-known/mta-sts.txt"
        assert await fetch(host) is StsFault.FETCH_ERROR
    assert len(host.requests) == 1


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "203 Other", "206 Partial Content"])
async def test_another_status_is_a_fetch_error(status: str) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.status = status
        assert await fetch(host) is StsFault.FETCH_ERROR


@pytest.mark.parametrize("media_type", ["text/plain", "text/plain; charset=utf-8", "TEXT/Plain ;x=y"])
async def test_the_media_type_is_plain_text(media_type: str) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.headers["Content-Type"] = media_type
        assert await fetch(host) == POLICY


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html"}, {}, {"Content-Type": "text/plain2"}])
async def test_another_media_type_is_a_fetch_error(headers: dict[str, str]) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.headers = headers
        assert await fetch(host) is StsFault.FETCH_ERROR


async def test_compressed_content_is_a_fetch_error() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.headers["Content-Encoding"] = "gzip"
        assert await fetch(host) is StsFault.FETCH_ERROR
    assert "accept-encoding: identity" in host.requests[0].lower()


async def test_an_invalid_policy_is_told_from_a_failed_fetch() -> None:
    async with PolicyHost(NAME, "version: STSv1\n") as host:
        assert await fetch(host) is StsFault.INVALID


async def test_a_policy_that_is_too_long_is_invalid() -> None:
    async with PolicyHost(NAME, TEXT + "x: " + "a" * MAX_POLICY_OCTETS) as host:
        assert await fetch(host) is StsFault.INVALID


async def test_content_without_an_end_is_invalid() -> None:
    async with PolicyHost(NAME) as host:
        host.behaviour = HostBehaviour.ENDLESS
        assert await fetch(host) is StsFault.INVALID


@pytest.mark.parametrize("behaviour", [HostBehaviour.CLOSE, HostBehaviour.NONSENSE])
async def test_a_host_that_speaks_no_http_is_a_fetch_error(behaviour: HostBehaviour) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.behaviour = behaviour
        assert await fetch(host) is StsFault.FETCH_ERROR


@pytest.mark.parametrize("behaviour", [HostBehaviour.SILENT, HostBehaviour.SILENT_IN_THE_BODY])
async def test_a_silent_host_is_given_up(behaviour: HostBehaviour) -> None:
    async with PolicyHost(NAME, TEXT) as host:
        host.behaviour = behaviour
        assert await fetch(host, fetch_seconds=FETCH_SECONDS) is StsFault.FETCH_ERROR


async def test_a_host_that_is_not_there_is_a_fetch_error() -> None:
    async with PolicyHost(NAME, TEXT) as host:
        pass
    assert await fetch(host) is StsFault.FETCH_ERROR


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    async with PolicyHost(NAME, TEXT) as host:
        assert await fetch(host) == POLICY
