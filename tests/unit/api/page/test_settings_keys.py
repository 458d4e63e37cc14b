"""The settings of keys: what is listed, what is made, and that a secret is shown once."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from relate_accounts.clock import utc_now
from relate_accounts.keys import MAX_KEYS_PER_USER, is_well_formed
from relate_accounts.types import ApiKey, Granted, Scope, UserId
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.page.browsing import COOKIE, sign_in
from tests.unit.api.page.settings import plain, submit

KEYS = "/settings/keys"


def shown_secret(response: httpx.Response) -> str:
    found = re.search(r'id="secret" class="secret" value="([^"]+)"', response.text)
    assert found is not None, response.text
    return found[1]


async def newest(world: MemoryBackend, user_id: int) -> ApiKey:
    return next(iter(await world.accounts.keys(UserId(user_id))))


async def make(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    return await submit(client, KEYS, page=KEYS, **fields)


async def test_a_key_is_created_and_its_secret_shown_once(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    response = await make(visitor, name=" laptop <b> ", scope=["imap", "smtp"])
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    secret = shown_secret(response)
    assert is_well_formed(secret)
    key = await newest(world, alice)
    assert (key.name, key.scopes, key.expires) == ("laptop <b>", frozenset({Scope.IMAP, Scope.SMTP}), None)
    assert "<b>" not in response.text
    granted = await world.authenticator.validate_key(secret, "192.0.2.1")
    assert isinstance(granted, Granted)
    assert granted.key_id == key.id
    again = await visitor.get(KEYS)
    assert secret not in again.text
    assert secret not in str(response.url)
    assert key.prefix in again.text


async def test_a_key_expires_when_its_last_day_has_ended(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    day = (utc_now() + timedelta(days=30)).date()
    await make(visitor, name="k", scope="imap", expires=day.isoformat())
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert (await newest(world, alice)).expires == end
    assert "Valid until the end of this day, UTC" in plain(await visitor.get(KEYS))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "A key needs a name of at most 100 characters."),
        ({"name": "x" * 101}, "A key needs a name of at most 100 characters."),
        ({"scope": []}, "Choose what the key allows."),
        ({"scope": "nope"}, "Choose what the key allows."),
        ({"scope": ["imap"] * 20}, "Choose what the key allows."),
        ({"scope": ["admin", "imap"]}, "This key cannot grant admin."),
        ({"expires": "2020-01-31"}, "The day on which the key expires is in the past."),
        ({"expires": "soon"}, "A day is written as 2027-01-31."),
        ({"expires": "9999-12-31"}, "A day is written as 2027-01-31."),
    ],
)
async def test_a_key_that_is_refused_comes_back_with_a_sentence_and_what_was_typed(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId, fields: dict[str, object], sentence: str
) -> None:
    before = await world.accounts.keys(UserId(alice))
    response = await make(visitor, **{"name": "typed", "scope": ["imap"], **fields})
    assert response.status_code == 422
    assert sentence in plain(response)
    if "name" not in fields:
        assert 'value="typed"' in response.text
    if "scope" not in fields:
        assert 'value="imap" checked' in response.text
    assert await world.accounts.keys(UserId(alice)) == before


async def test_beyond_the_limit_a_key_is_refused(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    for _ in range(MAX_KEYS_PER_USER - 1):
        await world.accounts.create_key(UserId(alice), "k", [Scope.IMAP])
    response = await make(visitor, name="one more", scope="imap")
    assert response.status_code == 422
    assert "revoke one first" in plain(response)


async def test_keys_that_a_session_makes_expire_with_its_key_and_not_with_the_session(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId
) -> None:
    expires = utc_now() + timedelta(days=100)
    key = await world.accounts.create_key(UserId(alice), "expiring", [Scope.APP], expires)
    await sign_in(stranger, key.secret)
    assert "when the key of this session expires" in plain(await stranger.get(KEYS))
    await make(stranger, name="phone", scope="imap")
    assert (await newest(world, alice)).expires == expires
    later = await make(stranger, name="later", scope="imap", expires=f"{expires + timedelta(days=2):%F}")
    assert later.status_code == 422
    assert "cannot create one that expires later" in plain(later)


async def test_a_session_offers_what_it_may_grant(
    world: MemoryBackend, stranger: httpx.AsyncClient, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    offered = re.findall(r'name="scope" value="([^"]+)"', (await visitor.get(KEYS)).text)
    assert offered == ["imap", "pop3", "smtp", "api:read", "api:write", "app"]
    key = await world.accounts.create_key(UserId(alice), "admin", [Scope.ADMIN])
    await sign_in(stranger, key.secret)
    assert re.findall(r'name="scope" value="([^"]+)"', (await stranger.get(KEYS)).text) == ["admin"]


async def test_keys_are_listed_with_those_that_have_ended_after_the_others(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    user_id = UserId(alice)
    revoked = await world.accounts.create_key(user_id, "revoked one", [Scope.IMAP])
    await world.accounts.revoke_key(user_id, revoked.key.id)
    await world.accounts.create_key(user_id, "expired one", [Scope.IMAP], utc_now() - timedelta(days=1))
    await world.accounts.create_key(user_id, "valid one", [Scope.IMAP])
    valid, ended = (await visitor.get(KEYS)).text.split("Keys that are no longer valid", 1)
    assert "valid one" in valid
    assert "not used yet" in valid
    for name in ("revoked one", "expired one"):
        assert name in ended
        assert name not in valid


async def test_a_key_is_revoked(world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId) -> None:
    key = (await world.accounts.create_key(UserId(alice), "phone", [Scope.IMAP])).key
    response = await submit(visitor, f"{KEYS}/{key.id}/revoke", page=KEYS)
    assert (response.status_code, response.headers["location"]) == (303, f"{KEYS}?done=key_revoked")
    assert (await newest(world, alice)).revoked is not None


async def test_revoking_the_key_of_the_session_signs_out(
    world: MemoryBackend, visitor: httpx.AsyncClient, alice: AccountId
) -> None:
    (own,) = await world.accounts.keys(UserId(alice))
    assert "Revoke and sign out" in (await visitor.get(KEYS)).text
    response = await submit(visitor, f"{KEYS}/{own.id}/revoke", page=KEYS)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert COOKIE not in visitor.cookies
    assert (await visitor.get(KEYS)).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("scope", "first"),
    [
        (Scope.APP, "/settings/filters"),
        (Scope.API_READ, "/settings/filters"),
        (Scope.ADMIN, "/settings/devices"),
    ],
)
async def test_the_settings_lead_to_the_first_section_that_the_session_may_see(
    world: MemoryBackend, stranger: httpx.AsyncClient, alice: AccountId, scope: Scope, first: str
) -> None:
    key = await world.accounts.create_key(UserId(alice), "k", [scope])
    await sign_in(stranger, key.secret, "/settings")
    response = await stranger.get("/settings")
    assert (response.status_code, response.headers["location"]) == (303, first)
    page = await stranger.get(first)
    for path in re.findall(r'<li><a href="(/settings/\w+)"', page.text):
        assert (await stranger.get(path)).status_code == 200
