"""Sessions: how they begin, what their cookies are, and what ends them."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.types import Granted, Scope, UserId
from relate_accounts.web_sessions import hash_token
from relate_api.config import PageSettings
from relate_api.page.sessions.keeper import SessionKeeper
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_client
from tests.unit.api.page.browsing import COOKIE, act, form_secret, sign_in

IDLE, ABSOLUTE = timedelta(minutes=720), timedelta(hours=720)
SECOND = timedelta(seconds=1)
CLIENT = "192.0.2.1"
PLANTED = "A" * 43  # has the form of a token


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 8, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(world: MemoryBackend, clock: Clock) -> SessionKeeper:
    return SessionKeeper(world.accounts.web_sessions, PageSettings(), clock)


async def granted(world: MemoryBackend, account_id: AccountId) -> Granted:
    user = await world.accounts.user(UserId(account_id))
    return Granted(user, (await world.accounts.keys(user.id))[0].id, "laptop", frozenset({Scope.APP}))


async def test_an_unused_session_ends(
    world: MemoryBackend, alice: AccountId, keeper: SessionKeeper, clock: Clock
) -> None:
    token = await keeper.begin(await granted(world, alice))
    clock.time += IDLE - SECOND
    assert await keeper.find(token, CLIENT, is_use=False) is not None
    clock.time += SECOND
    assert await keeper.find(token, CLIENT) is None
    assert await world.accounts.web_sessions.find(hash_token(token)) is None


async def test_use_defers_the_idle_end_but_not_the_absolute_one(
    world: MemoryBackend, alice: AccountId, keeper: SessionKeeper, clock: Clock
) -> None:
    token = await keeper.begin(await granted(world, alice))
    begun = clock.time
    while clock.time < begun + ABSOLUTE - IDLE:
        clock.time += IDLE - SECOND
        session = await keeper.find(token, CLIENT)
        assert session is not None
        assert session.granted.expires == begun + ABSOLUTE
    clock.time = begun + ABSOLUTE
    assert await keeper.find(token, CLIENT) is None


async def test_a_session_of_an_expiring_key_expires_with_it(
    world: MemoryBackend, alice: AccountId, keeper: SessionKeeper, clock: Clock
) -> None:
    expires = clock.time + timedelta(hours=1)
    key = await world.accounts.create_key(UserId(alice), "short", [Scope.APP], expires)
    user = await world.accounts.user(UserId(alice))
    token = await keeper.begin(Granted(user, key.key.id, "short", key.key.scopes, expires=expires))
    session = await keeper.find(token, CLIENT)
    assert session is not None
    assert session.granted.expires == expires
    clock.time = expires
    assert await keeper.find(token, CLIENT) is None


async def test_a_new_session_removes_those_that_are_unused(
    world: MemoryBackend, alice: AccountId, keeper: SessionKeeper, clock: Clock
) -> None:
    old = await keeper.begin(await granted(world, alice))
    clock.time += IDLE + SECOND
    await keeper.begin(await granted(world, alice))
    assert await world.accounts.web_sessions.find(hash_token(old)) is None


async def test_what_is_no_token_is_not_looked_up(
    keeper: SessionKeeper, world: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(world.accounts.web_sessions.__class__, "find")
    for token in ("", "x", "a" * 42, "a" * 44, "ä" * 43, "\ud800" * 43):
        assert await keeper.find(token, CLIENT) is None


async def test_a_store_that_cannot_write_does_not_end_reading(
    world: MemoryBackend,
    alice: AccountId,
    keeper: SessionKeeper,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = await keeper.begin(await granted(world, alice))

    async def full(*_: object) -> None:
        raise AccountsUnavailable("the disk is full")

    monkeypatch.setattr(world.accounts.web_sessions, "touch", full)
    monkeypatch.setattr(world.accounts.web_sessions, "remove", full)
    clock.time += IDLE - SECOND
    assert await keeper.find(token, CLIENT) is not None
    clock.time += IDLE
    assert await keeper.find(token, CLIENT) is None


async def test_signing_in_leads_to_the_page_that_was_requested(stranger: httpx.AsyncClient, alice: AccountId) -> None:
    response = await stranger.get("/?mailbox=Sent")
    assert response.headers["location"] == "/sign-in?next=%2F%3Fmailbox%3DSent"
    assert (await sign_in(stranger, "alice", "/?mailbox=Sent")).headers["location"] == "/?mailbox=Sent"
    assert (await stranger.get("/?mailbox=Sent")).status_code == 200


@pytest.mark.parametrize("target", ["https://evil.invalid/", "//evil.invalid", "/\\evil.invalid", "", "/\r\nX: y"])
async def test_signing_in_leads_to_no_other_site(stranger: httpx.AsyncClient, alice: AccountId, target: str) -> None:
    assert (await sign_in(stranger, "alice", target)).headers["location"] == "/"


async def test_the_cookie_is_for_this_host_and_no_script(stranger: httpx.AsyncClient, alice: AccountId) -> None:
    cookie = (await sign_in(stranger, "alice")).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes >= {"secure", "httponly", "samesite=lax", "path=/"}
    assert "domain" not in cookie.lower()


async def test_the_token_is_stored_as_a_hash_only(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    token = visitor.cookies[COOKIE]
    found = await world.accounts.web_sessions.find(hash_token(token))
    assert found is not None
    assert token not in repr(found)


async def test_signing_in_never_continues_a_token_of_the_browser(
    app: FastAPI, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    stranger.cookies.set(COOKIE, PLANTED, domain="mail.example.org", path="/")
    await sign_in(stranger, "alice")
    assert [cookie.value for cookie in stranger.cookies.jar if cookie.name == COOKIE][-1] != PLANTED
    assert await app.state.sessions.find(PLANTED, CLIENT) is None


async def test_signing_in_again_ends_the_session_before(
    app: FastAPI, visitor: httpx.AsyncClient, bob: AccountId
) -> None:
    first = visitor.cookies[COOKIE]
    await sign_in(visitor, "bob")
    assert visitor.cookies[COOKIE] != first
    assert await app.state.sessions.find(first, CLIENT) is None


async def test_signing_out_ends_the_session(app: FastAPI, visitor: httpx.AsyncClient) -> None:
    token = visitor.cookies[COOKIE]
    response = await visitor.post("/sign-out", data={"csrf": form_secret(await visitor.get("/"))})
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in response.headers["set-cookie"]
    assert await app.state.sessions.find(token, CLIENT) is None


async def test_a_wrong_key_begins_no_session(stranger: httpx.AsyncClient, alice: AccountId) -> None:
    response = await sign_in(stranger, "wrong")
    assert response.status_code == 401
    assert "not valid" in response.text
    assert "wrong" not in response.text
    assert COOKIE not in stranger.cookies


async def test_wrong_keys_are_limited_as_everywhere(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None:
        return None

    right = await world.accounts.create_key(UserId(alice), "browser", [Scope.APP])
    monkeypatch.setattr(world.authenticator._wrong_logins, "_sleep", at_once)
    statuses = [(await sign_in(stranger, f"wrong {number}")).status_code for number in range(22)]
    assert statuses[:20] == [401] * 20
    assert 429 in statuses
    assert (await sign_in(stranger, right.secret)).status_code == 303  # a right key is never refused


async def test_a_key_that_shows_nothing_does_not_sign_in(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.accounts.create_key(UserId(alice), "smtp", [Scope.SMTP], secret="smtp only")
    response = await sign_in(stranger, "smtp only")
    assert response.status_code == 403
    assert "lacks the scope" in response.text
    assert COOKIE not in stranger.cookies


async def test_a_session_of_a_reading_key_changes_nothing(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.accounts.create_key(UserId(alice), "reader", [Scope.API_READ], secret="reader")
    await sign_in(stranger, "reader")
    assert (await act(stranger, "read")).status_code == 403


async def test_the_sign_in_needs_the_secret_of_its_own_form(stranger: httpx.AsyncClient, alice: AccountId) -> None:
    await stranger.get("/sign-in")
    for form in ({"key": "alice"}, {"key": "alice", "csrf": "guessed"}):
        assert (await stranger.post("/sign-in", data=form)).status_code == 403
    secret = form_secret(await stranger.get("/sign-in"))
    foreign = {"Sec-Fetch-Site": "cross-site"}
    response = await stranger.post("/sign-in", data={"key": "alice", "csrf": secret}, headers=foreign)
    assert response.status_code == 403
    assert COOKIE not in stranger.cookies


async def test_without_tls_no_key_is_taken(app: FastAPI, alice: AccountId) -> None:
    async with create_client(app, scheme="http") as client:
        assert "use https" in (await client.get("/sign-in")).text
        response = await client.post("/sign-in", data={"key": "alice"})
        assert response.status_code == 403
        assert (await client.get("/")).status_code == 403


async def test_over_loopback_the_cookie_is_not_secure(app: FastAPI, alice: AccountId) -> None:
    async with create_client(app, scheme="http", address="127.0.0.1") as client:
        response = await sign_in(client, "alice")
        assert response.headers["set-cookie"].startswith("relate-session=")
        assert "secure" not in response.headers["set-cookie"].lower()
        assert (await client.get("/")).status_code == 200


async def test_what_refreshes_itself_does_not_defer_the_idle_end(
    world: MemoryBackend, visitor: httpx.AsyncClient, app: FastAPI
) -> None:
    token_hash = hash_token(visitor.cookies[COOKIE])
    old = datetime.now(UTC) - timedelta(hours=1)
    await world.accounts.web_sessions.touch(token_hash, old)
    await visitor.get("/", headers={"X-Refresh": "1"})
    found = await world.accounts.web_sessions.find(token_hash)
    assert found is not None
    assert found.session.used == old
    await visitor.get("/")
    found = await world.accounts.web_sessions.find(token_hash)
    assert found is not None
    assert found.session.used > old
