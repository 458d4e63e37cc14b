"""Many wrong logins, as the authenticator sees them."""

import asyncio

from relate_accounts.authenticator import VERDICT_CACHE_SIZE, KeyAuthenticator
from relate_accounts.keys import generate_key
from relate_accounts.ratelimit import PER_CLIENT, PER_NAME, TABLE_SIZE
from relate_accounts.types import Denied, FailureReason, Granted, Scope
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.watched import WatchedStore

ALICE = "alice@example.org"
ATTACKER = "203.0.113.5"
LOOPBACK = "127.0.0.1"
HOME = "192.0.2.1"
LIMITED = Denied(None, rate_limited=True)


async def attack(
    authenticator: KeyAuthenticator, times: int, login: str = ALICE, client: str = ATTACKER
) -> list[object]:
    return [await authenticator.validate(login, f"wrong {n}", Scope.IMAP, client) for n in range(times)]


async def test_ten_thousand_wrong_logins_are_answered_and_stop_costing_queries(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    verdicts = await attack(authenticator, 10_000)
    assert verdicts[: PER_CLIENT.burst] == [Denied(FailureReason.INVALID_KEY)] * PER_CLIENT.burst
    assert verdicts[PER_CLIENT.burst :] == [LIMITED] * (10_000 - PER_CLIENT.burst)
    assert store.calls.total() == 2 * PER_CLIENT.burst
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME), Granted)


async def test_a_limited_client_is_not_looked_at_even_with_the_right_key(
    store: WatchedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    await attack(authenticator, PER_CLIENT.burst)
    assert await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER) == LIMITED
    clock.advance(PER_CLIENT.seconds)
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER), Granted)


async def test_a_cached_success_is_served_to_a_limited_client(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER)
    await attack(authenticator, PER_CLIENT.burst)
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER), Granted)


async def test_the_same_wrong_login_again_and_again_is_limited_too(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    await store.add_user(ALICE)
    for _ in range(PER_CLIENT.burst):
        assert await authenticator.validate(ALICE, "wrong", Scope.IMAP, ATTACKER) != LIMITED
    assert await authenticator.validate(ALICE, "wrong", Scope.IMAP, ATTACKER) == LIMITED


async def test_many_clients_are_limited_by_the_name_they_all_try_in_any_spelling(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    await store.add_user(ALICE)
    verdicts = []
    for number in range(PER_NAME.burst + 1):
        login = ALICE.upper() if number % 2 else ALICE
        verdicts.append(await authenticator.validate(login, "wrong", Scope.IMAP, f"198.51.100.{number}"))
    assert LIMITED not in verdicts[:-1]
    assert verdicts[-1] == LIMITED
    other = await authenticator.validate("bob@example.org", "wrong", Scope.IMAP, HOME)
    assert other == Denied(FailureReason.USER_NOT_FOUND)


async def test_a_webmail_on_this_machine_is_limited_by_name_alone(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    user = await store.add_user("bob@example.org")
    new = await store.create_key(user.id, "webmail", [Scope.IMAP])
    assert (await attack(authenticator, PER_NAME.burst + 1, client=LOOPBACK))[-1] == LIMITED
    assert isinstance(await authenticator.validate("bob@example.org", new.secret, Scope.IMAP, LOOPBACK), Granted)


async def test_right_logins_and_missing_scopes_spend_nothing(
    store: WatchedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    for _ in range(10 * PER_CLIENT.burst):
        assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER), Granted)
        refused = await authenticator.validate(ALICE, new.secret, Scope.SMTP, ATTACKER)
        assert isinstance(refused, Denied)
        assert refused.reason is FailureReason.MISSING_SCOPE
        clock.advance(30)


async def test_keys_alone_are_limited_by_client(store: WatchedStore, authenticator: KeyAuthenticator) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "script", [Scope.API_READ])
    for _ in range(PER_CLIENT.burst):
        assert await authenticator.validate_key(generate_key(), ATTACKER) == Denied(FailureReason.INVALID_KEY)
    assert await authenticator.validate_key(new.secret, ATTACKER) == LIMITED
    assert isinstance(await authenticator.validate_key(new.secret, HOME), Granted)


async def test_wrong_logins_from_everywhere_hold_memory_to_a_bound_and_leave_right_ones_cached(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    user = await store.add_user(ALICE)
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME)
    for number in range(VERDICT_CACHE_SIZE + 500):
        client = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        await authenticator.validate(f"user{number}@example.org", "wrong", Scope.IMAP, client)
    wrong = authenticator._wrong_logins
    assert len(authenticator._refused) == VERDICT_CACHE_SIZE
    assert len(wrong._clients) == len(wrong._names) == TABLE_SIZE
    assert not authenticator._running._running
    granted = await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME)
    assert isinstance(granted, Granted)
    assert granted.cache_hit


async def test_wrong_logins_at_the_same_time_are_all_answered(
    store: WatchedStore, authenticator: KeyAuthenticator
) -> None:
    await store.add_user(ALICE)
    attempts = (authenticator.validate(ALICE, f"wrong {n}", Scope.IMAP, ATTACKER) for n in range(200))
    verdicts = await asyncio.gather(*attempts)
    assert all(isinstance(verdict, Denied) for verdict in verdicts)
    assert await authenticator.validate(ALICE, "wrong", Scope.IMAP, ATTACKER) == LIMITED
