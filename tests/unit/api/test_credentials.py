"""`/api/smtp-credentials`: the settings of mail programs, and keys that never exceed the caller."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.clock import utc_now
from relate_accounts.types import Scope, UserId
from relate_api.installation import Installation
from relate_mailstore.types import AccountId
from relate_wire.published import Endpoint
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import CREDENTIALS, KEYS, create_api, create_client, expect_problem

MAIL_AND_API = {"smtp", "pop3", "imap", "api:read", "api:write"}


async def test_the_settings_name_servers_ports_and_security(client: httpx.AsyncClient) -> None:
    info = (await client.get(CREDENTIALS)).json()["connectionInfo"]
    assert info["username"] == "alice@example.org"
    assert info["imap"] == {
        "server": "mail.example.org",
        "port": 143,
        "portSecurity": "STARTTLS",
        "securePort": 993,
        "securePortSecurity": "TLS",
        "enabled": True,
    }
    assert (info["smtp"]["port"], info["smtp"]["securePort"]) == (587, 465)
    assert (info["pop3"]["port"], info["pop3"]["securePort"]) == (110, 995)


async def test_ports_that_clients_do_not_reach_are_null(world: MemoryBackend, alice: AccountId) -> None:
    smtp, pop3 = Endpoint("out.example.org", None, 465), Endpoint("localhost", 110, 995, enabled=False)
    async with create_client(
        create_api(world, installation=Installation(smtp, pop3, Endpoint("in.example.org", 143, None))), "alice"
    ) as client:
        info = (await client.get(CREDENTIALS)).json()["connectionInfo"]
    assert (info["smtp"]["server"], info["smtp"]["port"]) == ("out.example.org", None)
    assert info["pop3"]["enabled"] is False
    assert (info["imap"]["server"], info["imap"]["securePort"]) == ("in.example.org", None)


async def test_only_usable_keys_are_counted_and_all_are_listed(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.accounts.create_key(UserId(alice), "old", [Scope.IMAP], utc_now() - timedelta(seconds=1))
    revoked = await world.accounts.create_key(UserId(alice), "lost", [Scope.IMAP])
    assert (await client.delete(f"{CREDENTIALS}/{revoked.key.id}")).status_code == 204
    await world.accounts.create_key(UserId(alice), "later", [Scope.IMAP], utc_now() + timedelta(hours=1))
    shown = (await client.get(CREDENTIALS)).json()
    assert shown["connectionInfo"]["activeKeyCount"] == 2
    assert [key["name"] for key in shown["keys"]] == ["later", "lost", "old", "laptop"]


async def test_a_key_without_scopes_gets_those_of_mail_and_the_api(app: FastAPI, client: httpx.AsyncClient) -> None:
    created = (await client.post(CREDENTIALS, json={"name": "tablet"})).json()
    assert set(created["details"]["scopes"]) == MAIL_AND_API
    async with create_client(app, created["key"]) as tablet:
        assert (await tablet.get("/api/external/emails")).status_code == 200
    assert created["key"] not in (await client.get(CREDENTIALS)).text


async def test_named_scopes_are_granted(client: httpx.AsyncClient) -> None:
    created = (await client.post(CREDENTIALS, json={"name": "printer", "scopes": ["smtp"]})).json()
    assert created["details"]["scopes"] == ["smtp"]


async def test_no_key_exceeds_the_caller(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "root", [Scope.ADMIN, Scope.IMAP], secret="root")
    await world.accounts.create_key(UserId(alice), "only", [Scope.ADMIN], secret="only")
    async with create_client(app, "root") as root, create_client(app, "only") as only:
        created = (await root.post(CREDENTIALS, json={"name": "x"})).json()
        assert created["details"]["scopes"] == ["imap"]
        expect_problem(await only.post(CREDENTIALS, json={"name": "x"}), 403)
        device = {"deviceName": "phone", "platform": "ios"}
        assert "app" in expect_problem(await root.post(f"{CREDENTIALS}/mobile", json=device), 403)["detail"]
        assert (
            "smtp"
            in expect_problem(await only.post(CREDENTIALS, json={"name": "x", "scopes": ["smtp"]}), 403)["detail"]
        )


async def test_a_key_expires_with_its_creating_key(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    limit = utc_now() + timedelta(days=1)
    await world.accounts.create_key(UserId(alice), "guest", [Scope.APP], limit, secret="guest")
    async with create_client(app, "guest") as guest:
        await guest.post(CREDENTIALS, json={"name": "x"})
        await guest.post(f"{CREDENTIALS}/mobile", json={"deviceName": "x", "platform": "web"})
    assert [key.expires for key in (await world.accounts.keys(UserId(alice)))[:3]] == [limit] * 3


@pytest.mark.parametrize("platform", ["ios", "android", "windows", "macos", "web"])
async def test_a_device_gets_a_key_for_an_app(app: FastAPI, client: httpx.AsyncClient, platform: str) -> None:
    name = "x" * 90
    response = await client.post(f"{CREDENTIALS}/mobile", json={"deviceName": name, "platform": platform})
    assert response.status_code == 201
    details = response.json()["details"]
    assert (details["name"], details["scopes"]) == (f"{name} ({platform})", ["app"])
    async with create_client(app, response.json()["key"]) as device:
        assert (await device.get(KEYS)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"name": ""}),
        ("", {"name": "x" * 101}),
        ("", {"name": "two\r\nlines"}),
        ("", {"name": "x", "scopes": []}),
        ("", {"name": "x", "scopes": ["root"]}),
        ("", {"name": "x", "scopes": ["imap"] * 8}),
        ("/mobile", {"deviceName": "x" * 91, "platform": "ios"}),
        ("/mobile", {"deviceName": "a\nb", "platform": "ios"}),
        ("/mobile", {"deviceName": "x", "platform": "symbian"}),
        ("/mobile", {"deviceName": "x"}),
    ],
)
async def test_an_invalid_request_is_refused(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    expect_problem(await client.post(f"{CREDENTIALS}{path}", json=body), 422)


async def test_another_users_key_is_not_found(world: MemoryBackend, client: httpx.AsyncClient, bob: AccountId) -> None:
    (bobs_key,) = await world.accounts.keys(UserId(bob))
    expect_problem(await client.delete(f"{CREDENTIALS}/{bobs_key.id}"), 404)
    assert (await world.accounts.keys(UserId(bob)))[0].revoked is None
