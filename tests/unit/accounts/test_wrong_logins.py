"""Many wrong logins on the authenticator: they are delayed, and right ones are not affected."""

import asyncio

import pytest

from relate_accounts.authenticator import (
    ACCEPTED_OCTETS,
    MAX_LOOKUPS,
    MAX_LOOKUPS_PER_CLIENT,
    REFUSED_OCTETS,
    KeyAuthenticator,
)
from relate_accounts.keys import generate_key
from relate_accounts.ratelimit import BUCKET_OCTETS, DELAY_SECONDS, PER_CLIENT, PER_SITE
from relate_accounts.types import Denied, FailureReason, Granted, NewKey, Scope
from relate_config.cache_budget import share_octets
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.fake_sleep import FakeSleep
from tests.unit.accounts.gated_store import GatedStore

ALICE = "alice@example.org"
ATTACKER = "203.0.113.5"
HOME = "192.0.2.1"
WRONG = Denied(FailureReason.INVALID_KEY)
LIMITED = Denied(FailureReason.INVALID_KEY, rate_limited=True)


async def alices_key(store: GatedStore) -> NewKey:
    user = await store.add_user(ALICE, aliases=["sales@example.org"])
    return await store.create_key(user.id, "phone", [Scope.IMAP, Scope.API_READ])


async def attack(
    authenticator: KeyAuthenticator, times: int, login: str = ALICE, client: str = ATTACKER
) -> list[object]:
    return [await authenticator.validate(login, generate_key(), Scope.IMAP, client) for _ in range(times)]


async def test_wrong_logins_beyond_the_limit_are_delayed(
    store: GatedStore, authenticator: KeyAuthenticator, fake_sleep: FakeSleep
) -> None:
    await store.add_user(ALICE)
    assert await attack(authenticator, PER_CLIENT.burst + 3) == [WRONG] * PER_CLIENT.burst + [LIMITED] * 3
    assert fake_sleep.seconds == [DELAY_SECONDS] * 3


@pytest.mark.parametrize("login", [ALICE, "sales@example.org"])
async def test_a_right_key_is_granted_to_a_client_beyond_the_limit(
    login: str, store: GatedStore, authenticator: KeyAuthenticator, fake_sleep: FakeSleep
) -> None:
    new = await alices_key(store)
    await attack(authenticator, PER_CLIENT.burst + 1)
    fake_sleep.seconds.clear()
    assert isinstance(await authenticator.validate(login, new.secret, Scope.IMAP, ATTACKER), Granted)
    assert isinstance(await authenticator.validate_key(new.secret, ATTACKER), Granted)
    assert fake_sleep.seconds == []


async def test_junk_keys_do_not_lock_out_the_clients_of_a_proxy(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    """All clients share the proxy's address; one of them sends a junk key every 5 seconds."""
    new = await alices_key(store)
    for _ in range(25):
        await authenticator.validate_key("junk", ATTACKER)
    for _ in range(20):
        for _ in range(6):
            await authenticator.validate_key("junk", ATTACKER)
            clock.advance(5)
        assert isinstance(await authenticator.validate_key(new.secret, ATTACKER), Granted)


async def test_wrong_logins_from_many_networks_do_not_lock_out_their_name(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    """One wrong login per half second, each from another /64; Alice tries every 10 seconds."""
    new = await alices_key(store)
    limited = 0
    for number in range(1_200):
        verdict = await authenticator.validate(ALICE, generate_key(), Scope.IMAP, f"2001:db8:7:{number:x}::1")
        limited += verdict == LIMITED
        clock.advance(0.5)
        if number % 20 == 0:
            assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME), Granted)
    assert limited > 0  # per /48, which spends more tokens than are refilled


async def test_a_wrong_well_formed_key_beyond_the_limit_costs_one_query(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    await store.add_user(ALICE)
    await attack(authenticator, PER_CLIENT.burst)
    store.calls.clear()
    await attack(authenticator, 10)
    await attack(authenticator, 10, login="unknown@example.org")
    assert store.calls == {"keys_by_prefix": 20}


@pytest.mark.parametrize("secret", ["wrong", "", "rm_", "rm_" + "x" * 42, "rm_" + "x" * 44, "rm_" + "!" * 43, "\ud800"])
async def test_a_malformed_key_beyond_the_limit_costs_no_query(
    secret: str, store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    await store.add_user(ALICE)
    await attack(authenticator, PER_CLIENT.burst)
    store.calls.clear()
    assert await authenticator.validate(ALICE, secret, Scope.IMAP, ATTACKER) == LIMITED
    assert await authenticator.validate_key(secret, ATTACKER) == LIMITED
    assert store.calls.total() == 0


async def test_a_secret_refused_without_a_query_is_looked_up_later(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    user = await store.add_user(ALICE)
    await store.create_key(user.id, "seeded", [Scope.IMAP], secret="chosen")
    await attack(authenticator, PER_CLIENT.burst)
    assert await authenticator.validate(ALICE, "chosen", Scope.IMAP, ATTACKER) == LIMITED
    clock.advance(PER_CLIENT.seconds)
    assert isinstance(await authenticator.validate(ALICE, "chosen", Scope.IMAP, ATTACKER), Granted)


async def test_repeating_the_same_wrong_login_is_limited(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    await store.add_user(ALICE)
    for _ in range(PER_CLIENT.burst):
        verdict = await authenticator.validate(ALICE, "wrong", Scope.IMAP, ATTACKER)
        assert isinstance(verdict, Denied)
        assert not verdict.rate_limited
    limited = Denied(FailureReason.INVALID_KEY, rate_limited=True, cache_hit=True)
    assert await authenticator.validate(ALICE, "wrong", Scope.IMAP, ATTACKER) == limited


async def test_tokens_are_refilled_at_the_rate_of_the_limit(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    await store.add_user(ALICE)
    await attack(authenticator, PER_CLIENT.burst)
    clock.advance(PER_CLIENT.seconds)
    assert await attack(authenticator, 2) == [WRONG, LIMITED]


async def test_there_is_no_limit_per_name(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    await store.add_user(ALICE)
    clients = [f"198.51.{number >> 8}.{number & 255}" for number in range(1_000)]
    verdicts = [await authenticator.validate(ALICE, "wrong", Scope.IMAP, client) for client in clients]
    assert not any(isinstance(verdict, Denied) and verdict.rate_limited for verdict in verdicts)


async def test_right_logins_and_missing_scopes_spend_no_tokens(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    new = await alices_key(store)
    for _ in range(10 * PER_CLIENT.burst):
        assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER), Granted)
        refused = await authenticator.validate(ALICE, new.secret, Scope.SMTP, ATTACKER)
        assert isinstance(refused, Denied)
        assert refused.reason is FailureReason.MISSING_SCOPE
        clock.advance(30)


async def test_validate_key_is_limited_by_client(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    for _ in range(PER_CLIENT.burst):
        assert await authenticator.validate_key(generate_key(), ATTACKER) == WRONG
    assert await authenticator.validate_key(generate_key(), ATTACKER) == LIMITED
    assert await authenticator.validate_key(generate_key(), HOME) == WRONG


async def test_wrong_logins_from_many_clients_use_bounded_memory(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    new = await alices_key(store)
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME)
    max_verdicts = share_octets("verdicts") // (ACCEPTED_OCTETS + REFUSED_OCTETS)
    max_buckets = share_octets("wrong_logins") // (2 * BUCKET_OCTETS)
    for number in range(max(max_verdicts, max_buckets) + 500):
        client = f"2001:db8:{number:x}::1"
        await authenticator.validate(f"user{number}@example.org", "wrong", Scope.IMAP, client)
    wrong = authenticator._wrong_logins
    assert len(authenticator._refused) == max_verdicts
    assert len(wrong._clients) == len(wrong._sites) == max_buckets
    for cache in authenticator.caches.values():
        assert 0 < cache.octets <= cache.limit_octets
    assert not authenticator._running._running
    assert not len(authenticator._semaphore)
    granted = await authenticator.validate(ALICE, new.secret, Scope.IMAP, HOME)
    assert isinstance(granted, Granted)
    assert granted.cache_hit
    verdicts = authenticator.caches["verdicts"]
    assert verdicts.hits == 1


async def test_concurrent_wrong_logins_are_limited(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    await store.add_user(ALICE)
    attempts = (authenticator.validate(ALICE, generate_key(), Scope.IMAP, ATTACKER) for _ in range(200))
    verdicts = await asyncio.gather(*attempts)
    assert verdicts.count(WRONG) == PER_CLIENT.burst
    assert verdicts.count(LIMITED) == 200 - PER_CLIENT.burst


async def test_a_flood_of_wrong_keys_has_bounded_concurrency(
    store: GatedStore, authenticator: KeyAuthenticator, fake_sleep: FakeSleep
) -> None:
    new = await alices_key(store)
    store.gate.clear()
    fake_sleep.gate.clear()
    flood = [
        asyncio.create_task(authenticator.validate(ALICE, generate_key(), Scope.IMAP, client))
        for client in [ATTACKER] * 500 + [f"198.51.100.{number}" for number in range(100)]
    ]
    among_it = asyncio.create_task(authenticator.validate(ALICE, new.secret, Scope.IMAP, ATTACKER))
    for _ in range(50):
        await asyncio.sleep(0)
    assert store.calls.total() == MAX_LOOKUPS
    assert MAX_LOOKUPS_PER_CLIENT < MAX_LOOKUPS
    store.gate.set()
    assert isinstance(await among_it, Granted)
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert sum(not task.done() for task in flood) == len(fake_sleep.seconds) == PER_CLIENT.delayed
    fake_sleep.gate.set()
    verdicts = await asyncio.gather(*flood)
    assert verdicts.count(LIMITED) == 500 - PER_CLIENT.burst


def test_the_limit_of_a_site_is_higher_than_that_of_an_address() -> None:
    assert PER_SITE.burst > PER_CLIENT.burst
    assert PER_SITE.seconds < PER_CLIENT.seconds
