"""Requests to hosts that others name, to a server on loopback."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from relate_outbound.addresses import IPAddress, PrivateDestinations
from relate_outbound.client import MAX_URL_CHARACTERS, Fault, Limits, OutboundClient, OutboundError, Response
from tests.support.oidc_issuer import OidcIssuer
from tests.support.policy_host import HOST, HostBehaviour, PolicyHost

NAME = "hooks.example.test"
DEAD = "127.0.0.2"  # no test listens there


class Resolver:
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = [ip_address(address) for address in addresses]
        self.resolved: list[str] = []

    async def __call__(self, host: str) -> Sequence[IPAddress]:
        self.resolved.append(host)
        if not self.addresses:
            raise OSError("unknown")
        return self.addresses


async def send(host: PolicyHost, *addresses: str, url: str = "", **options: Any) -> Response:
    private = options.pop("private", PrivateDestinations.ALLOW)
    resolve = Resolver(*addresses) if addresses else Resolver(HOST)
    client = OutboundClient(private=private, resolve=resolve, context=host.trusting)
    options = {"method": "GET", **options}
    return await client.send(url=url or f"https://{NAME}:{host.port}/path?query=1", **options)


async def fault_of(host: PolicyHost, *addresses: str, **options: Any) -> Fault:
    with pytest.raises(OutboundError) as raised:
        await send(host, *addresses, **options)
    return raised.value.fault


async def test_a_request_is_sent_under_the_hosts_name() -> None:
    async with PolicyHost(NAME, "answer") as host:
        host.headers["X-Answer"] = "yes"
        fields = {"Content-Type": "application/json", "Host": "other.example"}
        response = await send(host, method="POST", content=b"{}", fields=fields)
    assert (response.status, response.content, response.fields["x-answer"]) == (200, b"answer", "yes")
    head = host.requests[0].lower().splitlines()
    assert head[0] == "post /path?query=1 http/1.1"
    assert {f"host: {NAME}:{host.port}", "content-type: application/json", "content-length: 2"} <= set(head)
    assert "other.example" not in host.requests[0]
    assert host.server_names == [NAME]


@pytest.mark.parametrize("address", [HOST, "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1"])
async def test_inner_addresses_are_refused(address: str) -> None:
    async with PolicyHost(NAME) as host:
        fault = await fault_of(host, address, private=PrivateDestinations.REFUSE)
        literal = f"[{address}]" if ":" in address else address
        url = f"https://{literal}:{host.port}/"
        assert await fault_of(host, private=PrivateDestinations.REFUSE, url=url) is fault is Fault.ADDRESS
    assert fault.is_refusal
    assert host.server_names == []


async def test_of_several_addresses_the_inner_ones_are_left_out() -> None:
    async with PolicyHost(NAME) as host:
        limits = Limits(seconds=0.5)
        fault = await fault_of(host, HOST, "192.88.98.1", private=PrivateDestinations.REFUSE, limits=limits)
    assert not fault.is_refusal
    assert host.server_names == []


async def test_a_name_is_resolved_once() -> None:
    """Another answer between the check of an address and its use (DNS rebinding) cannot matter."""
    resolver = Resolver(HOST)
    async with PolicyHost(NAME, "answer") as host:
        client = OutboundClient(private=PrivateDestinations.ALLOW, resolve=resolver, context=host.trusting)
        await client.get(f"https://{NAME}:{host.port}/")
    assert resolver.resolved == [NAME]


async def test_the_systems_resolver_is_asked_by_default() -> None:
    async with PolicyHost("localhost", "answer") as host:
        client = OutboundClient(private=PrivateDestinations.ALLOW, context=host.trusting)
        assert (await client.get(f"https://localhost:{host.port}/")).content == b"answer"
        with pytest.raises(OutboundError, match="no address"):
            await OutboundClient(context=host.trusting).get(f"https://localhost:{host.port}/")


async def test_an_unknown_name_is_no_address() -> None:
    with pytest.raises(OutboundError) as raised:
        await OutboundClient(resolve=Resolver()).get(f"https://{NAME}/")
    assert raised.value.fault is Fault.ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        f"http://{NAME}/",
        "http://127.0.0.1/",
        "ftp://example.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/_HELO",
        f"https://user:password@{NAME}/",
        f"https://user@{NAME}/",
        "https://",
        "https:///path",
        "example.test",
        "",
        "https://[::1/",
        f"https://{NAME}:99999/",
        f"https://{NAME}:0/",
        f"https://{NAME}/{'x' * MAX_URL_CHARACTERS}",
        "https://a\r\nb/",
        "https://a\0b/",
    ],
)
async def test_other_urls_are_refused(url: str) -> None:
    client = OutboundClient(private=PrivateDestinations.ALLOW, resolve=Resolver(HOST))
    with pytest.raises(OutboundError) as raised:
        await client.get(url)
    assert raised.value.fault is Fault.URL
    assert "example.test" not in str(raised.value)


async def test_plain_http_goes_to_this_machine_only_and_only_if_allowed() -> None:
    async with OidcIssuer() as server:
        plain = OutboundClient(private=PrivateDestinations.ALLOW, plaintext_loopback=True)
        assert (await plain.get(f"{server.authority}/keys")).status == 200
        for addresses in (["192.0.2.1"], [HOST, "192.0.2.1"]):
            mixed = OutboundClient(
                private=PrivateDestinations.ALLOW, plaintext_loopback=True, resolve=Resolver(*addresses)
            )
            with pytest.raises(OutboundError) as raised:
                await mixed.get(f"http://{NAME}/keys")
            assert raised.value.fault is Fault.URL


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_a_response_and_is_not_followed(status: str) -> None:
    async with PolicyHost(NAME) as host:
        host.status, host.headers["Location"] = status, f"https://{NAME}:{host.port}/elsewhere"
        assert (await send(host)).status == int(status[:3])
    assert len(host.requests) == 1


async def test_long_and_endless_responses_are_refused() -> None:
    async with PolicyHost(NAME, "x" * 101) as host:
        assert await fault_of(host, limits=Limits(octets=100)) is Fault.SIZE
        assert len((await send(host, limits=Limits(octets=101))).content) == 101
        host.behaviour = HostBehaviour.ENDLESS
        assert await fault_of(host) is Fault.SIZE


async def test_compressed_content_is_refused() -> None:
    async with PolicyHost(NAME, "x") as host:
        host.headers["Content-Encoding"] = "gzip"
        assert await fault_of(host) is Fault.ENCODING


@pytest.mark.parametrize("behaviour", [HostBehaviour.SILENT, HostBehaviour.SILENT_IN_THE_BODY])
async def test_a_silent_host_is_given_up(behaviour: HostBehaviour) -> None:
    async with PolicyHost(NAME, "answer") as host:
        host.behaviour = behaviour
        assert await fault_of(host, limits=Limits(seconds=0.5)) is Fault.TIMEOUT


@pytest.mark.parametrize("behaviour", [HostBehaviour.CLOSE, HostBehaviour.NONSENSE])
async def test_a_request_that_was_sent_is_not_repeated_at_the_next_address(behaviour: HostBehaviour) -> None:
    async with PolicyHost(NAME, "answer") as host:
        host.behaviour = behaviour
        assert await fault_of(host, HOST, HOST, method="POST", content=b"{}") is Fault.CONNECTION
    assert len(host.requests) == 1


async def test_the_next_address_is_tried_if_there_is_no_connection() -> None:
    async with PolicyHost(NAME, "answer") as host:
        assert (await send(host, DEAD, HOST)).content == b"answer"


async def test_a_wrong_certificate_is_told_from_a_dead_host() -> None:
    async with PolicyHost("other.example.test", "answer") as host:
        assert await fault_of(host) is Fault.CERTIFICATE
        assert await fault_of(host, DEAD) is Fault.CONNECTION
    assert host.requests == []


async def test_fields_with_line_breaks_are_not_sent() -> None:
    async with PolicyHost(NAME, "answer") as host:
        assert await fault_of(host, fields={"X-Name": "a\r\nX-Other: b"}) is Fault.CONNECTION
    assert host.requests == []
