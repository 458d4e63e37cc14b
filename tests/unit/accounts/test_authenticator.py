import asyncio
from collections.abc import Collection
from datetime import timedelta

import pytest

from relate_accounts import lookup
from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.keys import KeyIdentity, generate_key, identify
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.types import Denied, FailureReason, Granted, NewKey, Scope, User
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.gated_store import GatedStore

CLIENT = "192.0.2.1"
ALICE = "alice@example.org"


async def alice_with_a_key(
    store: GatedStore, scopes: Collection[Scope] = (Scope.IMAP,), **key: object
) -> tuple[User, NewKey]:
    user = await store.add_user(ALICE, aliases=["sales@example.org", "jörg@bücher.example"])
    return user, await store.create_key(user.id, "phone", scopes, **key)  # type: ignore[arg-type]  # only expires


async def test_a_right_key_is_granted_its_scopes(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    user, new = await alice_with_a_key(store, [Scope.IMAP, Scope.SMTP])
    granted = await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    assert granted == Granted(user, new.key.id, "phone", frozenset({Scope.IMAP, Scope.SMTP}))


@pytest.mark.parametrize("login", ["ALICE@Example.Org", "Sales@example.org", "Jo\u0308rg@xn--bcher-kva.example"])
async def test_any_verified_address_logs_in_in_any_form(
    login: str, store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    user, new = await alice_with_a_key(store)
    verdict = await authenticator.validate(login, new.secret, Scope.IMAP, CLIENT)
    assert isinstance(verdict, Granted)
    assert verdict.user == user


async def test_each_denial_has_a_reason(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    _, new = await alice_with_a_key(store)
    await store.add_user("bob@example.org")
    for login, secret, scope, reason in (
        ("nobody@example.org", new.secret, Scope.IMAP, FailureReason.USER_NOT_FOUND),
        ("no address", new.secret, Scope.IMAP, FailureReason.USER_NOT_FOUND),
        ("alice+detail@example.org", new.secret, Scope.IMAP, FailureReason.USER_NOT_FOUND),
        (ALICE, generate_key(), Scope.IMAP, FailureReason.INVALID_KEY),
        (ALICE, "", Scope.IMAP, FailureReason.INVALID_KEY),
        (ALICE, new.secret[:-1], Scope.IMAP, FailureReason.INVALID_KEY),
        (ALICE, new.secret[:15] + "x" * 31, Scope.IMAP, FailureReason.INVALID_KEY),
        (ALICE, "\x00\ud800" * 500, Scope.IMAP, FailureReason.INVALID_KEY),
        ("bob@example.org", new.secret, Scope.IMAP, FailureReason.INVALID_KEY),
        (ALICE, new.secret, Scope.POP3, FailureReason.MISSING_SCOPE),
        (ALICE, new.secret, Scope.ADMIN, FailureReason.MISSING_SCOPE),
    ):
        verdict = await authenticator.validate(login, secret, scope, CLIENT)
        assert isinstance(verdict, Denied)
        assert verdict.reason is reason, (login, scope)


async def test_a_key_without_scopes_is_denied(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    _, new = await alice_with_a_key(store, [])
    for scope in Scope:
        verdict = await authenticator.validate(ALICE, new.secret, scope, CLIENT)
        assert isinstance(verdict, Denied)
        assert verdict.reason is FailureReason.MISSING_SCOPE


async def test_a_repeated_login_costs_no_query_for_30_seconds(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    _, new = await alice_with_a_key(store)
    first = await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    clock.advance(29.9)
    again = await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    assert isinstance(first, Granted)
    assert isinstance(again, Granted)
    assert (first.cache_hit, again.cache_hit) == (False, True)
    assert store.calls == {"keys_by_prefix": 1}
    clock.advance(0.1)
    third = await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    assert third == first
    assert store.calls == {"keys_by_prefix": 2}


async def test_a_repeated_wrong_login_costs_no_query_for_30_seconds(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    await store.add_user(ALICE)
    secret = generate_key()
    for cache_hit in (False, True, True):
        verdict = await authenticator.validate(ALICE, secret, Scope.IMAP, CLIENT)
        assert verdict == Denied(FailureReason.INVALID_KEY, cache_hit=cache_hit)
    assert store.calls.total() == 2
    clock.advance(30)
    assert await authenticator.validate(ALICE, secret, Scope.IMAP, CLIENT) == Denied(FailureReason.INVALID_KEY)
    assert store.calls.total() == 4


async def test_the_scope_is_checked_on_cached_keys_too(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    _, new = await alice_with_a_key(store, [Scope.IMAP])
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    verdict = await authenticator.validate(ALICE, new.secret, Scope.SMTP, CLIENT)
    assert verdict == Denied(FailureReason.MISSING_SCOPE, cache_hit=True)
    assert store.calls.total() == 1


async def test_logins_with_equal_concatenations_have_separate_cache_entries(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    _, new = await alice_with_a_key(store)
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    await authenticator.validate_key(new.secret, CLIENT)
    for login, secret in (("", new.secret), (ALICE + new.secret, ""), (ALICE[:-1], ALICE[-1] + new.secret)):
        assert isinstance(await authenticator.validate(login, secret, Scope.IMAP, CLIENT), Denied)
    assert isinstance(await authenticator.validate_key(f"{ALICE}:{new.secret}", CLIENT), Denied)


async def test_a_revoked_key_is_refused_within_30_seconds(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    user, new = await alice_with_a_key(store)
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    await store.revoke_key(user.id, new.key.id)
    clock.advance(30)
    assert await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT) == Denied(FailureReason.INVALID_KEY)


async def test_a_slow_lookup_does_not_extend_the_cache_time(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    user, new = await alice_with_a_key(store)
    store.gate.clear()
    slow = asyncio.create_task(authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT))
    await store.called.wait()
    clock.advance(20)
    store.gate.set()
    assert isinstance(await slow, Granted)
    await store.revoke_key(user.id, new.key.id)
    clock.advance(10)
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT), Denied)


async def test_an_expired_key_is_refused_at_once_even_when_cached(
    store: GatedStore, authenticator: KeyAuthenticator, clock: HandClock
) -> None:
    _, new = await alice_with_a_key(store, expires=clock.now() + timedelta(seconds=10))
    clock.advance(9)
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT), Granted)
    assert isinstance(await authenticator.validate_key(new.secret, CLIENT), Granted)
    clock.advance(1)
    assert await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT) == Denied(FailureReason.INVALID_KEY)
    assert await authenticator.validate_key(new.secret, CLIENT) == Denied(FailureReason.INVALID_KEY)


async def test_unknown_users_cost_as_much_as_wrong_keys(
    store: GatedStore, authenticator: KeyAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = 0

    def counted(secret: str, hash_secret: bytes) -> KeyIdentity:
        nonlocal hashes
        hashes += 1
        return identify(secret, hash_secret)

    monkeypatch.setattr(lookup, "identify", counted)
    await store.add_user(ALICE)
    work = []
    for login in (ALICE, "nobody@example.org"):
        for secret in (generate_key(), "guess"):
            store.calls.clear()
            hashes = 0
            await authenticator.validate(login, secret, Scope.IMAP, CLIENT)
            work.append((hashes, dict(store.calls)))
    assert work == [(1, {"keys_by_prefix": 1, "user_by_address": 1})] * 4


async def test_concurrent_logins_share_one_lookup(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    _, new = await alice_with_a_key(store)
    verdicts = await asyncio.gather(
        *(authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT) for _ in range(100))
    )
    assert all(isinstance(verdict, Granted) for verdict in verdicts)
    assert store.calls.total() == 1


async def test_a_database_failure_is_no_verdict_and_is_not_cached(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    _, new = await alice_with_a_key(store)
    store.broken = True
    for _ in range(100):
        with pytest.raises(AccountsUnavailable):
            await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    store.broken = False
    assert isinstance(await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT), Granted)


async def test_a_key_alone_identifies_its_user(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    user, new = await alice_with_a_key(store, [Scope.API_READ])
    verdict = await authenticator.validate_key(new.secret, CLIENT)
    assert verdict == Granted(user, new.key.id, "phone", frozenset({Scope.API_READ}))
    again = await authenticator.validate_key(new.secret, CLIENT)
    assert isinstance(again, Granted)
    assert again.cache_hit
    assert await authenticator.validate_key(generate_key(), CLIENT) == Denied(FailureReason.INVALID_KEY)
    assert store.calls == {"keys_by_prefix": 2}


async def test_a_secret_shared_by_several_users_requires_a_login(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    alice, bob = await store.add_user(ALICE), await store.add_user("bob@example.org", aliases=["b@example.org"])
    for user in (alice, bob):
        await store.create_key(user.id, "seeded", [Scope.IMAP], secret="secret")
    for login, user in ((ALICE, alice), ("bob@example.org", bob), ("b@example.org", bob)):
        verdict = await authenticator.validate(login, "secret", Scope.IMAP, CLIENT)
        assert isinstance(verdict, Granted)
        assert verdict.user == user
    assert await authenticator.validate_key("secret", CLIENT) == Denied(FailureReason.INVALID_KEY)


async def test_a_new_key_with_the_secret_of_a_revoked_one_is_valid(
    store: GatedStore, authenticator: KeyAuthenticator
) -> None:
    user = await store.add_user(ALICE)
    old = await store.create_key(user.id, "old", [Scope.IMAP], secret="secret")
    await store.revoke_key(user.id, old.key.id)
    new = await store.create_key(user.id, "new", [Scope.IMAP], secret="secret")
    for verdict in (
        await authenticator.validate(ALICE, "secret", Scope.IMAP, CLIENT),
        await authenticator.validate_key("secret", CLIENT),
    ):
        assert isinstance(verdict, Granted)
        assert verdict.key_id == new.key.id


async def test_every_granted_login_records_the_use_of_the_key(
    store: GatedStore, authenticator: KeyAuthenticator, last_used: LastUsedWriter, clock: HandClock
) -> None:
    user, new = await alice_with_a_key(store)
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    clock.advance(5)
    await authenticator.validate(ALICE, new.secret, Scope.IMAP, CLIENT)
    used = clock.now()
    clock.advance(5)
    await authenticator.validate(ALICE, new.secret, Scope.SMTP, CLIENT)
    await last_used.flush()
    (key,) = await store.keys(user.id)
    assert key.last_used == used
