"""The contract of the sessions of browsers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from relate_accounts.errors import UserNotFound
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import NewKey, Scope, User, UserId
from relate_accounts.web_sessions import MAX_SESSIONS_PER_USER, WebSession, hash_token
from relate_mailstore.sql.driver.engine import open_engine

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
SCOPES = frozenset({Scope.API_READ, Scope.API_WRITE})


@pytest.fixture(params=["memory", "sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def accounts(request: pytest.FixtureRequest) -> AsyncIterator[AccountStore]:
    if request.param == "memory":
        yield MemoryAccountStore()
    else:
        engine = open_engine(request.getfixturevalue(request.param))
        yield SqlAccountStore(engine)
        await engine.dispose()


@pytest.fixture
async def alice(accounts: AccountStore) -> User:
    return await accounts.add_user("alice@example.org", "Alice")


@pytest.fixture
async def key(accounts: AccountStore, alice: User) -> NewKey:
    return await accounts.create_key(alice.id, "browser", SCOPES)


def session_of(user: User, key: NewKey | None, token: str = "token", used: datetime = NOW) -> WebSession:
    key_id = None if key is None else key.key.id
    return WebSession(hash_token(token), user.id, key_id, SCOPES, "csrf secret", NOW, used)


async def test_a_session_is_found_with_its_user_and_key(accounts: AccountStore, alice: User, key: NewKey) -> None:
    session = session_of(alice, key)
    await accounts.web_sessions.add(session)
    found = await accounts.web_sessions.find(session.token_hash)
    assert found is not None
    assert (found.session, found.user, found.key) == (session, alice, key.key)
    assert found.is_open(NOW)
    assert await accounts.web_sessions.find(hash_token("other")) is None


async def test_a_session_without_a_key_is_of_its_user_alone(accounts: AccountStore, alice: User) -> None:
    session = session_of(alice, None)
    await accounts.web_sessions.add(session)
    found = await accounts.web_sessions.find(session.token_hash)
    assert found is not None
    assert (found.session, found.key) == (session, None)
    assert found.is_open(NOW)


async def test_a_session_of_an_unknown_user_is_refused(accounts: AccountStore) -> None:
    with pytest.raises(UserNotFound):
        await accounts.web_sessions.add(WebSession(b"hash", UserId(2**40), None, SCOPES, "csrf", NOW, NOW))


async def test_a_session_tells_that_its_key_was_revoked(accounts: AccountStore, alice: User, key: NewKey) -> None:
    await accounts.web_sessions.add(session_of(alice, key))
    await accounts.revoke_key(alice.id, key.key.id)
    found = await accounts.web_sessions.find(hash_token("token"))
    assert found is not None
    assert not found.is_open(NOW)


async def test_a_session_tells_that_its_key_has_expired(accounts: AccountStore, alice: User) -> None:
    key = await accounts.create_key(alice.id, "short", SCOPES, NOW)
    await accounts.web_sessions.add(session_of(alice, key))
    found = await accounts.web_sessions.find(hash_token("token"))
    assert found is not None
    assert found.is_open(NOW - timedelta(seconds=1))
    assert not found.is_open(NOW)


async def test_disabling_a_user_removes_the_sessions(accounts: AccountStore, alice: User, key: NewKey) -> None:
    bob = await accounts.add_user("bob@example.org")
    for session in (session_of(alice, key), session_of(alice, None, "issuer"), session_of(bob, None, "of bob")):
        await accounts.web_sessions.add(session)
    for disabled in (True, False):
        await accounts.set_disabled(alice.id, disabled=disabled)
    assert await accounts.web_sessions.find(hash_token("token")) is None
    assert await accounts.web_sessions.find(hash_token("issuer")) is None
    assert await accounts.web_sessions.find(hash_token("of bob")) is not None


async def test_a_session_of_a_disabled_user_is_not_open(accounts: AccountStore, alice: User, key: NewKey) -> None:
    await accounts.set_disabled(alice.id, disabled=True)
    await accounts.web_sessions.add(session_of(alice, key))  # signed in at the same moment
    found = await accounts.web_sessions.find(hash_token("token"))
    assert found is not None
    assert not found.is_open(NOW)


async def test_a_removed_user_has_no_session(accounts: AccountStore, alice: User, key: NewKey) -> None:
    await accounts.web_sessions.add(session_of(alice, key))
    await accounts.remove_user(alice.id)
    assert await accounts.web_sessions.find(hash_token("token")) is None


async def test_a_session_is_touched_and_removed(accounts: AccountStore, alice: User, key: NewKey) -> None:
    session = session_of(alice, key)
    await accounts.web_sessions.add(session)
    await accounts.web_sessions.touch(session.token_hash, NOW + timedelta(hours=1))
    found = await accounts.web_sessions.find(session.token_hash)
    assert found is not None
    assert (found.session.created, found.session.used) == (NOW, NOW + timedelta(hours=1))
    for _ in range(2):
        await accounts.web_sessions.remove(session.token_hash)
    await accounts.web_sessions.touch(session.token_hash, NOW)
    assert await accounts.web_sessions.find(session.token_hash) is None


async def test_unused_sessions_are_removed(accounts: AccountStore, alice: User, key: NewKey) -> None:
    for name, age in (("old", 2), ("edge", 1), ("new", 0)):
        await accounts.web_sessions.add(session_of(alice, key, name, NOW - timedelta(hours=age)))
    assert await accounts.web_sessions.remove_unused(NOW - timedelta(hours=1)) == 1
    assert await accounts.web_sessions.find(hash_token("old")) is None
    assert await accounts.web_sessions.find(hash_token("edge")) is not None


async def test_the_session_that_was_not_used_for_longest_ends_beyond_the_limit(
    accounts: AccountStore, alice: User, key: NewKey
) -> None:
    bob = await accounts.add_user("bob@example.org")
    await accounts.web_sessions.add(session_of(bob, None, "of bob", NOW - timedelta(days=1)))
    for number in range(MAX_SESSIONS_PER_USER + 1):
        await accounts.web_sessions.add(session_of(alice, key, str(number), NOW + timedelta(seconds=number)))
    assert await accounts.web_sessions.find(hash_token("0")) is None
    assert await accounts.web_sessions.find(hash_token("1")) is not None
    assert await accounts.web_sessions.find(hash_token("of bob")) is not None
