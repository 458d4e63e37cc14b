"""Revocations end open sessions and evict cached verdicts."""

import asyncio
from datetime import timedelta

import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.revocation import LOOK_BACK, RevocationWatcher
from relate_accounts.types import Denied, FailureReason, Granted, NewKey, Revoked, Scope, User
from relate_supervisor import Supervisor
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.gated_store import GatedStore

ALICE = "alice@example.org"
CLIENT = "192.0.2.1"


@pytest.fixture
def store(clock: HandClock) -> GatedStore:
    return GatedStore(clock.now)


@pytest.fixture
def watcher(store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock) -> RevocationWatcher:
    return RevocationWatcher(store, authenticator, Supervisor(), interval=0, now=clock.now)


class Session:
    """An open session that counts how often it was ended."""

    def __init__(self) -> None:
        self.ended = 0

    def end(self) -> None:
        self.ended += 1


async def make_key(store: GatedStore, address: str = ALICE, **key: object) -> tuple[User, NewKey]:
    user = await store.add_user(address)
    return user, await store.create_key(user.id, "phone", [Scope.IMAP], **key)  # type: ignore[arg-type]  # only expires


async def log_in(authenticator: KeyAuthenticator, key: NewKey, address: str = ALICE) -> Session:
    granted = await authenticator.validate(address, key.secret, Scope.IMAP, CLIENT)
    assert isinstance(granted, Granted)
    session = Session()
    authenticator.watch(granted, session.end)
    return session


async def test_a_revoked_key_ends_only_its_sessions_and_once(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher
) -> None:
    user, lost = await make_key(store)
    other = await store.create_key(user.id, "laptop", [Scope.IMAP])
    ended = [await log_in(authenticator, lost) for _ in range(3)]
    other_session = await log_in(authenticator, other)
    await watcher.check()
    assert [session.ended for session in ended] == [0, 0, 0]
    await store.revoke_key(user.id, lost.key.id)
    for _ in range(3):
        await watcher.check()
    assert [session.ended for session in ended] == [1, 1, 1]
    assert other_session.ended == 0


async def test_a_disabled_user_has_no_sessions_and_cannot_log_in(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher, clock: HandClock
) -> None:
    alice, alices = await make_key(store)
    _, bobs = await make_key(store, "bob@example.org")
    session, other = await log_in(authenticator, alices), await log_in(authenticator, bobs, "bob@example.org")
    await store.set_disabled(alice.id, True)
    await watcher.check()
    assert (session.ended, other.ended) == (1, 0)
    refused = Denied(FailureReason.INVALID_KEY)
    assert await authenticator.validate(ALICE, alices.secret, Scope.IMAP, CLIENT) == refused
    assert await authenticator.validate_key(alices.secret, CLIENT) == refused
    await store.set_disabled(alice.id, False)
    clock.advance(30)
    assert isinstance(await authenticator.validate(ALICE, alices.secret, Scope.IMAP, CLIENT), Granted)


async def test_an_expired_key_ends_its_sessions_without_the_store(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher, clock: HandClock
) -> None:
    _, key = await make_key(store, expires=clock.now() + timedelta(seconds=60))
    session = await log_in(authenticator, key)
    store.broken = True
    for seconds, ended in ((59, 0), (1, 1), (60, 1)):
        clock.advance(seconds)
        with pytest.raises(AccountsUnavailable):
            await watcher.check()
        assert session.ended == ended


async def test_a_check_evicts_the_cached_verdict_of_a_revoked_key(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher
) -> None:
    user, key = await make_key(store)
    await log_in(authenticator, key)
    await store.revoke_key(user.id, key.key.id)
    await watcher.check()
    assert isinstance(await authenticator.validate(ALICE, key.secret, Scope.IMAP, CLIENT), Denied)


async def test_a_session_with_a_stale_verdict_is_ended_by_a_later_check(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher, clock: HandClock
) -> None:
    user, key = await make_key(store)
    granted = await authenticator.validate(ALICE, key.secret, Scope.IMAP, CLIENT)
    assert isinstance(granted, Granted)
    await store.revoke_key(user.id, key.key.id)
    await watcher.check()
    session = Session()
    authenticator.watch(granted, session.end)  # the session's handler waited for a lock since the verdict
    clock.advance(10)
    await watcher.check()
    assert session.ended == 1


async def test_revocations_during_a_database_outage_are_found_afterwards(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher, clock: HandClock
) -> None:
    user, key = await make_key(store)
    session = await log_in(authenticator, key)
    await store.revoke_key(user.id, key.key.id)
    store.broken = True
    for _ in range(100):
        clock.advance(10)
        with pytest.raises(AccountsUnavailable):
            await watcher.check()
    store.broken = False
    await watcher.check()
    assert session.ended == 1


async def test_a_check_overlaps_the_previous_one_by_look_back(
    store: GatedStore, watcher: RevocationWatcher, clock: HandClock
) -> None:
    for _ in range(3):
        clock.advance(1_000)
        await watcher.check()
    assert store.since == clock.now() - timedelta(seconds=1_000) - LOOK_BACK


async def test_setting_the_clock_back_hides_no_revocation(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher, clock: HandClock
) -> None:
    user, key = await make_key(store)
    session = await log_in(authenticator, key)
    await watcher.check()
    clock.advance(-3_600)
    await store.revoke_key(user.id, key.key.id)
    await watcher.check()
    assert session.ended == 1


async def test_an_ended_session_is_no_longer_watched(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher
) -> None:
    user, key = await make_key(store)
    granted = await authenticator.validate(ALICE, key.secret, Scope.IMAP, CLIENT)
    assert isinstance(granted, Granted)
    session = Session()
    unwatch = authenticator.watch(granted, session.end)
    unwatch()
    unwatch()
    assert len(authenticator._sessions) == 0
    await store.revoke_key(user.id, key.key.id)
    await watcher.check()
    assert session.ended == 0


async def test_the_watcher_continues_after_any_exception(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher
) -> None:
    user, key = await make_key(store)
    granted = await authenticator.validate(ALICE, key.secret, Scope.IMAP, CLIENT)
    assert isinstance(granted, Granted)
    failed, ended = asyncio.Event(), asyncio.Event()

    def fail() -> None:
        failed.set()
        raise RuntimeError("a bug")

    authenticator.watch(granted, fail)
    authenticator.watch(granted, ended.set)
    await store.revoke_key(user.id, key.key.id)
    watcher.start()
    await failed.wait()
    await ended.wait()
    await watcher.stop()


async def test_the_watcher_continues_after_a_database_outage(
    store: GatedStore, authenticator: KeyAuthenticator, watcher: RevocationWatcher
) -> None:
    user, key = await make_key(store)
    granted = await authenticator.validate(ALICE, key.secret, Scope.IMAP, CLIENT)
    assert isinstance(granted, Granted)
    ended = asyncio.Event()
    authenticator.watch(granted, ended.set)
    await store.revoke_key(user.id, key.key.id)
    store.broken = True
    store.called.clear()
    watcher.start()
    await store.called.wait()
    store.broken = False
    await ended.wait()
    await watcher.stop()
    await watcher.stop()


def test_revoked_covers_by_key_and_by_user(clock: HandClock) -> None:
    user = User(id=1, address=ALICE, display_name="", created=clock.now())  # type: ignore[arg-type]  # a plain number
    granted = Granted(user, 7, "phone", frozenset())
    assert not Revoked().covers(granted)
    assert not Revoked()
    assert Revoked(key_ids=frozenset({7})).covers(granted)
    assert Revoked(user_ids=frozenset({user.id})).covers(granted)
    assert not Revoked(frozenset({8}), frozenset()).covers(granted)
