"""Authentication and authorisation: keys, scopes, and the limit on wrong keys."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal, cast

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.clock import utc_now
from relate_accounts.keys import generate_key
from relate_accounts.ports import Authenticator
from relate_accounts.ratelimit import PER_CLIENT
from relate_accounts.types import Denied, FailureReason, Scope, UserId, Verdict
from relate_api.config import ApiSettings
from relate_api.http.errors import RETRY_AFTER_SECONDS
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import (
    CLIENT_ADDRESS,
    CREDENTIALS,
    EMAILS,
    KEYS,
    PREFERENCES,
    PROFILE,
    create_api,
    create_client,
    expect_problem,
)

READ, WRITE, APP, ADMIN = Scope.API_READ, Scope.API_WRITE, Scope.APP, Scope.ADMIN
MAIL = (Scope.SMTP, Scope.POP3, Scope.IMAP)
NEW_KEY = {"name": "phone", "scopes": ["imap"]}
OFFICE = {"address": "office@customer.test"}
NEW_DEVICE = {"deviceName": "phone", "platform": "ios"}

SendRequest = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]

OPERATIONS: dict[str, tuple[SendRequest, set[Scope]]] = {
    "list": (lambda client, _: client.get(EMAILS), {READ, APP}),
    "search": (lambda client, _: client.get(f"{EMAILS}/search?q=x"), {READ, APP}),
    "get": (lambda client, email: client.get(f"{EMAILS}/{email}"), {READ, APP}),
    "raw": (lambda client, email: client.get(f"{EMAILS}/{email}/raw"), {READ, APP}),
    "patch": (lambda client, email: client.patch(f"{EMAILS}/{email}", json={}), {WRITE, APP}),
    "delete": (lambda client, email: client.delete(f"{EMAILS}/{email}"), {WRITE, APP}),
    "list keys": (lambda client, _: client.get(KEYS), {APP, ADMIN}),
    "create key": (lambda client, _: client.post(KEYS, json=NEW_KEY), {APP, ADMIN}),
    "revoke key": (lambda client, _: client.delete(f"{KEYS}/1"), {APP, ADMIN}),
    "profile": (lambda client, _: client.get(PROFILE), {READ, APP}),
    "change profile": (lambda client, _: client.put(PROFILE, json={"displayName": "A"}), {WRITE, APP}),
    "claim address": (lambda client, _: client.post(f"{PROFILE}/addresses", json=OFFICE), {APP, ADMIN}),
    "verify address": (
        lambda client, email: client.post(f"{PROFILE}/addresses/{email}/verify", json={"code": "x"}),
        {APP, ADMIN},
    ),
    "remove address": (lambda client, email: client.delete(f"{PROFILE}/addresses/{email}"), {APP, ADMIN}),
    "preferences": (lambda client, _: client.get(PREFERENCES), {READ, APP}),
    "change preferences": (lambda client, _: client.put(PREFERENCES, json={}), {WRITE, APP}),
    "credentials": (lambda client, _: client.get(CREDENTIALS), {APP, ADMIN}),
    "create credential": (lambda client, _: client.post(CREDENTIALS, json=NEW_KEY), {APP, ADMIN}),
    "create device key": (lambda client, _: client.post(f"{CREDENTIALS}/mobile", json=NEW_DEVICE), {APP, ADMIN}),
    "revoke credential": (lambda client, _: client.delete(f"{CREDENTIALS}/1"), {APP, ADMIN}),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scope", Scope)
async def test_each_operation_requires_its_scopes(
    world: MemoryBackend, app: FastAPI, alice: AccountId, operation: str, scope: Scope
) -> None:
    send, scopes = OPERATIONS[operation]
    email = (await world.store.deliver(delivery(alice))).message_id
    await world.accounts.create_key(UserId(alice), "one scope", [scope], secret="one scope")
    async with create_client(app, "one scope") as client:
        response = await send(client, str(email))
    if scope in scopes:
        assert response.status_code != 401
        assert "scope" not in response.text or response.is_success
    else:
        assert "lacks the scope" in expect_problem(response, 403)["detail"]
        challenge = f'Bearer realm="Relate Mail", error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'
        assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "alice", "ApiKey alice"])
async def test_a_request_without_bearer_key_gets_instructions(anonymous: httpx.AsyncClient, header: str | None) -> None:
    response = await anonymous.get(EMAILS, headers={} if header is None else {"Authorization": header})
    assert "Authorization: Bearer" in expect_problem(response, 401)["detail"]
    assert response.headers["www-authenticate"] == 'Bearer realm="Relate Mail"'


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_bearer_scheme_is_case_insensitive(anonymous: httpx.AsyncClient, scheme: str) -> None:
    assert (await anonymous.get(EMAILS, headers={"Authorization": f"{scheme} alice"})).status_code == 200


async def test_wrong_expired_and_revoked_keys_get_the_same_response(
    world: MemoryBackend, app: FastAPI, alice: AccountId, anonymous: httpx.AsyncClient
) -> None:
    await world.accounts.create_key(UserId(alice), "old", [APP], utc_now() - timedelta(seconds=1), secret="old")
    revoked = await world.accounts.create_key(UserId(alice), "lost", [APP], secret="lost")
    await world.accounts.revoke_key(UserId(alice), revoked.key.id)
    problems = []
    for key in ("old", "lost", "wrong", "\xff\xfe"):
        response = await anonymous.get(EMAILS, headers={b"Authorization": f"Bearer {key}".encode("latin-1")})
        problems.append((expect_problem(response, 401)["detail"], response.headers))
    assert all(answer == problems[0] for answer in problems)
    assert problems[0][1]["www-authenticate"] == 'Bearer realm="Relate Mail", error="invalid_token"'


async def test_too_many_wrong_keys_are_limited_and_a_valid_one_is_accepted(
    world: MemoryBackend, app: FastAPI, alice: AccountId, anonymous: httpx.AsyncClient
) -> None:
    for number in range(PER_CLIENT.burst):
        expect_problem(await anonymous.get(EMAILS, headers={"Authorization": f"Bearer {number}"}), 401)
    for junk in ("junk", generate_key()):
        response = await anonymous.get(EMAILS, headers={"Authorization": f"Bearer {junk}"})
        expect_problem(response, 429)
        assert response.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
    right = (await world.accounts.create_key(UserId(alice), "script", [APP])).secret
    async with create_client(app, right) as client:
        assert (await client.get(EMAILS)).status_code == 200


def test_retry_after_covers_the_rate_limit() -> None:
    assert PER_CLIENT.seconds <= RETRY_AFTER_SECONDS


async def test_a_read_key_can_neither_write_nor_create_keys(
    world: MemoryBackend, app: FastAPI, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = (await world.store.deliver(delivery(alice))).message_id
    await world.accounts.create_key(UserId(alice), "reader", [READ, *MAIL], secret="reader")
    async with create_client(app, "reader") as reader:
        expect_problem(await reader.patch(f"{EMAILS}/{email}", json={"isRead": True}), 403)
        expect_problem(await reader.delete(f"{EMAILS}/{email}"), 403)
        expect_problem(await reader.post(KEYS, json=NEW_KEY), 403)
    assert (await client.get(f"{EMAILS}/{email}")).json()["isRead"] is False
    assert [key["name"] for key in (await client.get(KEYS)).json()["items"]] == ["reader", "laptop"]


async def list_emails(
    world: MemoryBackend, settings: ApiSettings, address: str, scheme: str, **fields: str
) -> httpx.Response:
    """Request Alice's messages with this setting, address, scheme and header fields."""
    async with create_client(create_api(world, settings=settings), "alice", address, scheme) as client:
        return await client.get(EMAILS, headers={name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("mode", "elsewhere", "here"), [("loopback", 403, 200), ("never", 403, 403), ("always", 200, 200)]
)
async def test_a_plaintext_key_is_accepted_according_to_the_setting(
    world: MemoryBackend, alice: AccountId, mode: Literal["never", "loopback", "always"], elsewhere: int, here: int
) -> None:
    settings = ApiSettings(plaintext_authentication=mode)
    assert (await list_emails(world, settings, CLIENT_ADDRESS, "http")).status_code == elsewhere
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert (await list_emails(world, settings, address, "http")).status_code == here
    for address in (CLIENT_ADDRESS, "127.0.0.1"):
        assert (await list_emails(world, settings, address, "https")).status_code == 200


async def test_any_plaintext_key_is_refused_with_a_remedy(app: FastAPI) -> None:
    problems = []
    for key in ("alice", "wrong", None):
        async with create_client(app, key, scheme="http") as client:
            response = await client.get(EMAILS)
            problems.append(expect_problem(response, 403)["detail"])
            assert "wrong" not in response.text
    assert set(problems) == {"keys are accepted over TLS only: use https"}


async def test_header_fields_of_an_untrusted_client_do_not_imply_tls(world: MemoryBackend, alice: AccountId) -> None:
    fields = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "127.0.0.1", "Forwarded": "for=127.0.0.1;proto=https"}
    for settings in (ApiSettings(), ApiSettings(trusted_proxies="10.0.0.0/8")):
        assert (await list_emails(world, settings, CLIENT_ADDRESS, "http", **fields)).status_code == 403


@pytest.mark.parametrize("proxy", ["10.0.0.1", "127.0.0.1"])
async def test_behind_a_trusted_proxy_the_clients_scheme_counts(
    world: MemoryBackend, alice: AccountId, proxy: str
) -> None:
    settings = ApiSettings(trusted_proxies="10.0.0.0/8, 127.0.0.1")
    for fields, status in (
        ({"X_Forwarded_For": CLIENT_ADDRESS, "X_Forwarded_Proto": "https"}, 200),
        ({"X_Forwarded_For": CLIENT_ADDRESS, "X_Forwarded_Proto": "http"}, 403),
        ({"X_Forwarded_For": CLIENT_ADDRESS}, 403),
        ({"X_Forwarded_Proto": "http"}, 403),
        ({"Forwarded": f"for={CLIENT_ADDRESS};proto=https"}, 200),
        ({"Forwarded": f"for={CLIENT_ADDRESS};proto=http"}, 403),
        ({"Forwarded": "junk"}, 403),
    ):
        assert (await list_emails(world, settings, proxy, "http", **fields)).status_code == status, fields


async def test_wrong_keys_count_for_the_client_of_a_trusted_proxy(world: MemoryBackend, alice: AccountId) -> None:
    clients = []

    class RecordingAuthenticator:
        async def validate_key(self, secret: str, client: str) -> Verdict:
            clients.append(client)
            return Denied(FailureReason.INVALID_KEY)

    app = create_api(
        world,
        authenticator=cast("Authenticator", RecordingAuthenticator()),
        settings=ApiSettings(trusted_proxies="10.0.0.0/8"),
    )
    for proxy, forwarded in (("10.0.0.1", CLIENT_ADDRESS), ("10.0.0.1", "junk"), (CLIENT_ADDRESS, "10.0.0.7")):
        async with create_client(app, "wrong", proxy) as client:
            expect_problem(await client.get(EMAILS, headers={"X-Forwarded-For": forwarded}), 401)
    assert clients == [CLIENT_ADDRESS, "10.0.0.1", CLIENT_ADDRESS]
