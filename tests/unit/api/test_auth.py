"""Who may ask what: keys, scopes, and the limit on wrong keys."""

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
from relate_api.errors import RETRY_AFTER
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, STRANGER, api_over, client_of, problem_in

READ, WRITE, APP, ADMIN = Scope.API_READ, Scope.API_WRITE, Scope.APP, Scope.ADMIN
MAIL = (Scope.SMTP, Scope.POP3, Scope.IMAP)
NEW_KEY = {"name": "phone", "scopes": ["imap"]}

Ask = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]

OPERATIONS: dict[str, tuple[Ask, set[Scope]]] = {
    "list": (lambda client, _: client.get(EMAILS), {READ, APP}),
    "search": (lambda client, _: client.get(f"{EMAILS}/search?q=x"), {READ, APP}),
    "get": (lambda client, email: client.get(f"{EMAILS}/{email}"), {READ, APP}),
    "raw": (lambda client, email: client.get(f"{EMAILS}/{email}/raw"), {READ, APP}),
    "patch": (lambda client, email: client.patch(f"{EMAILS}/{email}", json={}), {WRITE, APP}),
    "delete": (lambda client, email: client.delete(f"{EMAILS}/{email}"), {WRITE, APP}),
    "list keys": (lambda client, _: client.get(KEYS), {APP, ADMIN}),
    "create key": (lambda client, _: client.post(KEYS, json=NEW_KEY), {APP, ADMIN}),
    "revoke key": (lambda client, _: client.delete(f"{KEYS}/1"), {APP, ADMIN}),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scope", Scope)
async def test_each_operation_lets_in_its_scopes_only(
    world: MemoryBackend, app: FastAPI, alice: AccountId, operation: str, scope: Scope
) -> None:
    ask, scopes = OPERATIONS[operation]
    email = (await world.store.deliver(delivery(alice))).message_id
    await world.accounts.create_key(UserId(alice), "one scope", [scope], secret="one scope")
    async with client_of(app, "one scope") as client:
        response = await ask(client, str(email))
    if scope in scopes:
        assert response.status_code != 401
        assert "scope" not in response.text or response.is_success
    else:
        assert "lacks the scope" in problem_in(response, 403)["detail"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "alice", "ApiKey alice"])
async def test_without_a_bearer_key_it_is_said_how_to_send_one(stranger: httpx.AsyncClient, header: str | None) -> None:
    response = await stranger.get(EMAILS, headers={} if header is None else {"Authorization": header})
    assert "Authorization: Bearer" in problem_in(response, 401)["detail"]
    assert response.headers["www-authenticate"] == 'Bearer realm="Relate Mail"'


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
async def test_the_scheme_is_read_without_case(stranger: httpx.AsyncClient, scheme: str) -> None:
    assert (await stranger.get(EMAILS, headers={"Authorization": f"{scheme} alice"})).status_code == 200


async def test_wrong_expired_and_revoked_keys_are_told_the_same(
    world: MemoryBackend, app: FastAPI, alice: AccountId, stranger: httpx.AsyncClient
) -> None:
    await world.accounts.create_key(UserId(alice), "old", [APP], utc_now() - timedelta(seconds=1), secret="old")
    revoked = await world.accounts.create_key(UserId(alice), "lost", [APP], secret="lost")
    await world.accounts.revoke_key(UserId(alice), revoked.key.id)
    answers = []
    for key in ("old", "lost", "wrong", "\xff\xfe"):
        response = await stranger.get(EMAILS, headers={b"Authorization": f"Bearer {key}".encode("latin-1")})
        answers.append((problem_in(response, 401)["detail"], response.headers))
    assert all(answer == answers[0] for answer in answers)


async def test_too_many_wrong_keys_are_told_to_wait_and_a_right_one_from_there_is_served(
    world: MemoryBackend, app: FastAPI, alice: AccountId, stranger: httpx.AsyncClient
) -> None:
    for number in range(PER_CLIENT.burst):
        problem_in(await stranger.get(EMAILS, headers={"Authorization": f"Bearer {number}"}), 401)
    for junk in ("junk", generate_key()):
        response = await stranger.get(EMAILS, headers={"Authorization": f"Bearer {junk}"})
        problem_in(response, 429)
        assert response.headers["retry-after"] == str(RETRY_AFTER)
    right = (await world.accounts.create_key(UserId(alice), "script", [APP])).secret
    async with client_of(app, right) as client:
        assert (await client.get(EMAILS)).status_code == 200


def test_who_waits_as_told_may_try_again() -> None:
    assert PER_CLIENT.seconds <= RETRY_AFTER


async def test_a_key_for_reading_neither_writes_nor_makes_keys(
    world: MemoryBackend, app: FastAPI, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = (await world.store.deliver(delivery(alice))).message_id
    await world.accounts.create_key(UserId(alice), "reader", [READ, *MAIL], secret="reader")
    async with client_of(app, "reader") as reader:
        problem_in(await reader.patch(f"{EMAILS}/{email}", json={"isRead": True}), 403)
        problem_in(await reader.delete(f"{EMAILS}/{email}"), 403)
        problem_in(await reader.post(KEYS, json=NEW_KEY), 403)
    assert (await client.get(f"{EMAILS}/{email}")).json()["isRead"] is False
    assert [key["name"] for key in (await client.get(KEYS)).json()["items"]] == ["reader", "laptop"]


async def asked(
    world: MemoryBackend, settings: ApiSettings, address: str, scheme: str, **fields: str
) -> httpx.Response:
    """Alice's list, asked for in this way."""
    async with client_of(api_over(world, settings=settings), "alice", address, scheme) as client:
        return await client.get(EMAILS, headers={name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("mode", "elsewhere", "here"), [("loopback", 403, 200), ("never", 403, 403), ("always", 200, 200)]
)
async def test_a_key_in_the_clear_is_taken_where_the_setting_says(
    world: MemoryBackend, alice: AccountId, mode: Literal["never", "loopback", "always"], elsewhere: int, here: int
) -> None:
    settings = ApiSettings(plaintext_authentication=mode)
    assert (await asked(world, settings, STRANGER, "http")).status_code == elsewhere
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert (await asked(world, settings, address, "http")).status_code == here
    for address in (STRANGER, "127.0.0.1"):
        assert (await asked(world, settings, address, "https")).status_code == 200


async def test_a_key_in_the_clear_is_refused_whatever_it_is_and_told_what_to_do(app: FastAPI) -> None:
    answers = []
    for key in ("alice", "wrong", None):
        async with client_of(app, key, scheme="http") as client:
            response = await client.get(EMAILS)
            answers.append(problem_in(response, 403)["detail"])
            assert "wrong" not in response.text
    assert set(answers) == {"keys are accepted over TLS only: use https"}


async def test_no_header_field_of_a_strangers_makes_plain_text_secure(world: MemoryBackend, alice: AccountId) -> None:
    fields = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "127.0.0.1", "Forwarded": "for=127.0.0.1;proto=https"}
    for settings in (ApiSettings(), ApiSettings(trusted_proxies="10.0.0.0/8")):
        assert (await asked(world, settings, STRANGER, "http", **fields)).status_code == 403


@pytest.mark.parametrize("proxy", ["10.0.0.1", "127.0.0.1"])
async def test_through_a_trusted_proxy_what_counts_is_how_the_client_came_to_it(
    world: MemoryBackend, alice: AccountId, proxy: str
) -> None:
    settings = ApiSettings(trusted_proxies="10.0.0.0/8, 127.0.0.1")
    for fields, status in (
        ({"X_Forwarded_For": STRANGER, "X_Forwarded_Proto": "https"}, 200),
        ({"X_Forwarded_For": STRANGER, "X_Forwarded_Proto": "http"}, 403),
        ({"X_Forwarded_For": STRANGER}, 403),
        ({"X_Forwarded_Proto": "http"}, 403),
        ({"Forwarded": f"for={STRANGER};proto=https"}, 200),
        ({"Forwarded": f"for={STRANGER};proto=http"}, 403),
        ({"Forwarded": "junk"}, 403),
    ):
        assert (await asked(world, settings, proxy, "http", **fields)).status_code == status, fields


async def test_wrong_keys_count_for_the_client_that_a_trusted_proxy_names(
    world: MemoryBackend, alice: AccountId
) -> None:
    limited = []

    class Noting:
        async def validate_key(self, secret: str, client: str) -> Verdict:
            limited.append(client)
            return Denied(FailureReason.INVALID_KEY)

    app = api_over(
        world, authenticator=cast("Authenticator", Noting()), settings=ApiSettings(trusted_proxies="10.0.0.0/8")
    )
    for proxy, forwarded in (("10.0.0.1", STRANGER), ("10.0.0.1", "junk"), (STRANGER, "10.0.0.7")):
        async with client_of(app, "wrong", proxy) as client:
            problem_in(await client.get(EMAILS, headers={"X-Forwarded-For": forwarded}), 401)
    assert limited == [STRANGER, "10.0.0.1", STRANGER]
