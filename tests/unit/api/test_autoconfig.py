"""Autoconfiguration: what mail programs read, parsed as they parse it; the MTA-STS policy, parsed by the relay."""

import plistlib
from collections.abc import AsyncIterator
from dataclasses import replace
from xml.etree import ElementTree

import httpx
import pytest
from fastapi import FastAPI

from relate_api.autoconfig.endpoints import AUTOCONFIG, AUTODISCOVER
from relate_api.autoconfig.mta_sts import policy_record, policy_text
from relate_api.autoconfig.outlook import MAX_REQUEST_OCTETS, requested_address
from relate_api.installation import Installation, MtaStsSettings
from relate_outbound.dns.sts_record import find_id
from relate_relay.routing.mta_sts import parse_policy
from relate_relay.routing.mta_sts.policy import Mode
from relate_wire.published import Endpoint
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import INSTALLATION, create_api, create_client, expect_problem

PROFILE, MTA_STS = "/email.mobileconfig", "/.well-known/mta-sts.txt"
REQUESTS = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
OUTER = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
INNER = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
SERVER = "mail.example.org"


def discover_request(address: str, head: str = "") -> bytes:
    return f"""{head}<Autodiscover xmlns="{REQUESTS}"><Request>
        <EMailAddress>{address}</EMailAddress>
        <AcceptableResponseSchema>{INNER[1:-1]}</AcceptableResponseSchema>
    </Request></Autodiscover>""".encode()


@pytest.fixture
async def pop_only(world: MemoryBackend, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A server without IMAP, and without implicit TLS for submission; no key."""
    installation = Installation(
        Endpoint("out.example.org", 587, None),
        Endpoint("in.example.org", 110, 995),
        Endpoint(SERVER, 143, 993, enabled=False),
    )
    async with create_client(create_api(world, installation=installation)) as client:
        yield client


def servers(octets: bytes) -> list[tuple[str, ...]]:
    """Type, host, port, socket type, authentication and user name of each server, in order."""
    root = ElementTree.fromstring(octets)
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    (provider,) = root.findall("emailProvider")
    assert provider.get("id") == provider.findtext("domain") == "example.org"
    found = []
    for server in provider:
        if server.tag in ("incomingServer", "outgoingServer"):
            assert (server.tag == "outgoingServer") is (server.get("type") == "smtp")
            names = ("hostname", "port", "socketType", "authentication", "username")
            found.append((server.get("type") or "", *(server.findtext(name) or "" for name in names)))
    return found


@pytest.mark.parametrize("path", AUTOCONFIG)
async def test_thunderbird_gets_all_ports_with_implicit_tls_first(anonymous: httpx.AsyncClient, path: str) -> None:
    response = await anonymous.get(path, params={"emailaddress": "Alice@EXAMPLE.org"})
    assert response.headers["content-type"] == "application/xml"
    rest = ("password-cleartext", "%EMAILADDRESS%")
    assert servers(response.content) == [
        ("imap", SERVER, "993", "SSL", *rest),
        ("imap", SERVER, "143", "STARTTLS", *rest),
        ("pop3", SERVER, "995", "SSL", *rest),
        ("pop3", SERVER, "110", "STARTTLS", *rest),
        ("smtp", SERVER, "465", "SSL", *rest),
        ("smtp", SERVER, "587", "STARTTLS", *rest),
    ]


async def test_only_what_is_served_is_told(pop_only: httpx.AsyncClient) -> None:
    response = await pop_only.get(AUTOCONFIG[0], params={"emailaddress": "alice@example.org"})
    assert [server[:4] for server in servers(response.content)] == [
        ("pop3", "in.example.org", "995", "SSL"),
        ("pop3", "in.example.org", "110", "STARTTLS"),
        ("smtp", "out.example.org", "587", "STARTTLS"),
    ]


async def test_the_host_names_the_domain_if_no_address_does(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get(AUTOCONFIG[1], headers={"Host": "AutoConfig.example.org:443"})
    assert servers(response.content)
    for host in ("autoconfig.elsewhere.test", "mail.example.org", "autoconfig.", "autoconfig.-x"):
        expect_problem(await anonymous.get(AUTOCONFIG[1], headers={"Host": host}), 404)


ELSEWHERE = ["alice@elsewhere.test", "alice", "@", "a@[192.0.2.1]", "a\r\nb@example.org", "a@example.org.", "\x00"]


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_an_address_elsewhere_is_not_found(anonymous: httpx.AsyncClient, address: str) -> None:
    expect_problem(await anonymous.get(AUTOCONFIG[0], params={"emailaddress": address}), 404)
    expect_problem(await anonymous.get(PROFILE, params={"email": address}), 404)


async def test_unknown_addresses_get_the_same_as_known_ones(anonymous: httpx.AsyncClient) -> None:
    texts = {
        (await anonymous.get(AUTOCONFIG[0], params={"emailaddress": f"{name}@example.org"})).text
        for name in ("alice", "nobody")
    }
    assert len(texts) == 1
    assert (await anonymous.get(PROFILE, params={"email": "nobody@example.org"})).status_code == 200
    assert (await anonymous.post(AUTODISCOVER[0], content=discover_request("nobody@example.org"))).status_code == 200


@pytest.mark.parametrize("path", AUTODISCOVER)
async def test_outlook_gets_the_best_port_of_each_protocol(anonymous: httpx.AsyncClient, path: str) -> None:
    head = '<?xml version="1.0" encoding="utf-8"?>'
    response = await anonymous.post(
        path, content=discover_request(" alice@Example.org ", head), headers={"Content-Type": "text/xml"}
    )
    assert response.headers["content-type"] == "application/xml"
    root = ElementTree.fromstring(response.content)
    assert root.tag == f"{OUTER}Autodiscover"
    (account,) = root.findall(f"{INNER}Response/{INNER}Account")
    assert account.findtext(f"{INNER}AccountType") == "email"
    assert account.findtext(f"{INNER}Action") == "settings"
    names = ("Type", "Server", "Port", "LoginName", "SSL", "Encryption", "AuthRequired")
    assert [
        tuple(protocol.findtext(f"{INNER}{name}") for name in names) for protocol in account.findall(f"{INNER}Protocol")
    ] == [
        ("IMAP", SERVER, "993", "alice@example.org", "on", "SSL", "on"),
        ("POP3", SERVER, "995", "alice@example.org", "on", "SSL", "on"),
        ("SMTP", SERVER, "465", "alice@example.org", "on", "SSL", "on"),
    ]


async def test_outlook_is_told_of_starttls(pop_only: httpx.AsyncClient) -> None:
    response = await pop_only.post(AUTODISCOVER[0], content=discover_request("alice@example.org"))
    root = ElementTree.fromstring(response.content)
    found = [(p.findtext(f"{INNER}Type"), p.findtext(f"{INNER}Encryption")) for p in root.iter(f"{INNER}Protocol")]
    assert found == [("POP3", "SSL"), ("SMTP", "TLS")]


@pytest.mark.parametrize("address", ["alice@elsewhere.test", "alice"])
async def test_outlook_finds_no_address_elsewhere(anonymous: httpx.AsyncClient, address: str) -> None:
    expect_problem(await anonymous.post(AUTODISCOVER[0], content=discover_request(address)), 404)


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
WRONG_REQUESTS = {
    "nothing": b"",
    "no XML": b"alice@example.org",
    "another document": b"<html><body>alice@example.org</body></html>",
    "no address": f'<Autodiscover xmlns="{REQUESTS}"><Request/></Autodiscover>'.encode(),
    "two addresses": discover_request("alice@example.org</EMailAddress><EMailAddress>bob@example.net"),
    "an entity": discover_request("&b;", BOMB),
    "an external entity": discover_request("&f;", "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>"),
    "an undeclared entity": discover_request("&nbsp;alice@example.org"),
    "an unknown encoding": discover_request("alice@example.org", '<?xml version="1.0" encoding="utf-7"?>'),
    "too deep": b"<a>" * 21 + b"</a>" * 21,
    "too long": discover_request("alice@example.org" + " " * MAX_REQUEST_OCTETS),
    "not UTF-8": discover_request("alice@example.org") + b"\xff",
}


@pytest.mark.parametrize("case", WRONG_REQUESTS)
async def test_a_wrong_discover_request_is_refused(anonymous: httpx.AsyncClient, case: str) -> None:
    problem = expect_problem(await anonymous.post(AUTODISCOVER[0], content=WRONG_REQUESTS[case]), 400)
    assert "EMailAddress" in problem["detail"]


def test_a_discover_request_may_lack_the_namespace() -> None:
    plain = b"<Autodiscover><Request><EMailAddress>a&amp;b@example.org</EMailAddress></Request></Autodiscover>"
    assert requested_address(plain) == "a&b@example.org"


async def test_an_iphone_gets_a_profile_without_a_password(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get(PROFILE, params={"email": "Alice@example.org"})
    assert response.headers["content-type"] == "application/x-apple-aspen-config"
    assert response.headers["content-disposition"] == 'attachment; filename="email.mobileconfig"'
    profile = plistlib.loads(response.content)
    assert (profile["PayloadType"], profile["PayloadVersion"]) == ("Configuration", 1)
    (account,) = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert account["PayloadUUID"] != profile["PayloadUUID"]
    assert account["EmailAddress"] == "alice@example.org"
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    for direction, port in (("Incoming", 993), ("Outgoing", 465)):
        names = ("HostName", "PortNumber", "UseSSL", "Authentication", "Username")
        values = [account[f"{direction}MailServer{name}"] for name in names]
        assert values == [SERVER, port, True, "EmailAuthPassword", "alice@example.org"]
    assert not [name for name in account if name.endswith("Password") and account[name] is not True]
    again = await anonymous.get(PROFILE, params={"email": "alice@EXAMPLE.org"})
    assert again.content == response.content  # a second installation replaces the first


async def test_a_profile_without_imap_is_for_pop3(pop_only: httpx.AsyncClient) -> None:
    profile = plistlib.loads((await pop_only.get(PROFILE, params={"email": "alice@example.org"})).content)
    (account,) = profile["PayloadContent"]
    assert (account["EmailAccountType"], account["IncomingMailServerPortNumber"]) == ("EmailTypePOP", 995)
    assert (account["OutgoingMailServerPortNumber"], account["OutgoingMailServerUseSSL"]) == (587, True)


async def test_there_is_no_profile_without_a_port(world: MemoryBackend, app: FastAPI) -> None:
    closed = replace(INSTALLATION, smtp=Endpoint(SERVER, None, None))
    async with create_client(create_api(world, installation=closed)) as client:
        expect_problem(await client.get(PROFILE, params={"email": "alice@example.org"}), 404)


@pytest.mark.parametrize("mode", ["none", "testing", "enforce"])
async def test_other_servers_get_a_valid_policy_of_a_local_domain(
    world: MemoryBackend, app: FastAPI, mode: str
) -> None:
    settings = MtaStsSettings.model_validate({"mode": mode, "max_age_seconds": 86_400})
    async with create_client(create_api(world, installation=replace(INSTALLATION, mta_sts=settings))) as client:
        response = await client.get(MTA_STS, headers={"Host": "mta-sts.example.org"})
    assert response.headers["content-type"].startswith("text/plain")
    policy = parse_policy(response.content)
    assert policy is not None
    assert (policy.mode, policy.patterns, policy.max_age) == (Mode(mode), (SERVER,), 86_400)


@pytest.mark.parametrize(
    "host", ["mta-sts.elsewhere.test", "example.org", "mail.example.org", "mta-sts.", "mta-sts.a_b"]
)
async def test_other_hosts_have_no_policy(anonymous: httpx.AsyncClient, host: str) -> None:
    expect_problem(await anonymous.get(MTA_STS, headers={"Host": host}), 404)


@pytest.mark.parametrize("server", ["localhost", "192.0.2.1", "[::1]"])
async def test_a_server_without_a_name_has_no_policy(world: MemoryBackend, app: FastAPI, server: str) -> None:
    nameless = replace(INSTALLATION, smtp=Endpoint(server, 587, 465))
    async with create_client(create_api(world, installation=nameless)) as client:
        expect_problem(await client.get(MTA_STS, headers={"Host": "mta-sts.example.org"}), 404)
    assert policy_record(MtaStsSettings(), server) is None


def test_the_record_has_an_id_that_changes_with_the_policy() -> None:
    variants = [
        (MtaStsSettings(), SERVER),
        (MtaStsSettings(), "mx.example.org"),
        (MtaStsSettings(mode="enforce"), SERVER),
        (MtaStsSettings(max_age_seconds=1), SERVER),
    ]
    ids = {find_id([(policy_record(*variant) or "").encode()]) for variant in variants}
    assert len(ids) == len(variants)
    assert None not in ids
    assert policy_record(MtaStsSettings(), SERVER.upper()) == policy_record(MtaStsSettings(), SERVER)
    assert policy_text(MtaStsSettings(), SERVER) == policy_text(MtaStsSettings(), f"{SERVER}.")
