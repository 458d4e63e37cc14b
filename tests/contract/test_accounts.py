"""The contract of account stores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone

import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import (
    AddressBlocked,
    AddressNotFound,
    InvalidAddress,
    InvalidKeyName,
    KeyNotFound,
    SelectorExists,
    TooManyKeys,
    UserExists,
    UserNotFound,
)
from relate_accounts.keys import MAX_KEY_NAME_CHARACTERS, MAX_KEYS_PER_USER, identify
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.ports import AccountStore
from relate_accounts.removal import BLOCK_PERIOD
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import DomainKey, Granted, Identity, Revoked, Scope, User, UserId
from relate_mailstore.sql.driver.engine import open_engine

NOBODY = UserId(2**40)
ISSUER = "https://id.example.org"


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
    return await accounts.add_user(
        "alice@example.org", "Alice", aliases=["sales@example.org", "a@example.org"], quota=1_000
    )


async def test_an_added_user_has_its_attributes(accounts: AccountStore) -> None:
    before = datetime.now(UTC)
    user = await accounts.add_user("Alice@EXAMPLE.ORG", "Älice", quota=5 * 2**40)
    assert (user.address, user.display_name, user.quota) == ("alice@example.org", "Älice", 5 * 2**40)
    assert before <= user.created <= datetime.now(UTC)
    assert user.created.utcoffset() == timedelta(0)
    assert await accounts.user_by_address(user.address) == user


async def test_users_have_ids_of_their_own_and_no_quota_by_default(accounts: AccountStore) -> None:
    users = [await accounts.add_user(f"user{number}@example.org") for number in range(3)]
    assert len({user.id for user in users}) == 3
    assert [user.quota for user in users] == [None] * 3


async def test_users_are_listed_by_address(accounts: AccountStore) -> None:
    for name in ("b", "a-z", "aa", "a"):
        await accounts.add_user(f"{name}@example.org")
    listed = [user.address for user in await accounts.users()]
    assert listed == sorted(listed)
    assert {f"{name}@example.org" for name in ("b", "a-z", "aa", "a")} <= set(listed)


async def test_a_user_is_found_by_every_address_in_every_spelling(accounts: AccountStore, alice: User) -> None:
    for address in ("alice@example.org", "SALES@example.org", "a@EXAMPLE.ORG", '"alice"@example.org'):
        assert await accounts.user_by_address(address) == alice


@pytest.mark.parametrize("local_part", ["bob", "alice+detail", "", "%", "a b", "alic_", "\x00"])
async def test_no_user_is_found_by_any_other_address(local_part: str, accounts: AccountStore, alice: User) -> None:
    with pytest.raises(UserNotFound):
        await accounts.user_by_address(f"{local_part}@example.org")


async def test_internationalised_addresses_are_stored_in_one_spelling(accounts: AccountStore) -> None:
    user = await accounts.add_user("Jo\u0308rg@BU\u0308CHER.example.org")
    assert user.address == "jörg@xn--bcher-kva.example.org"
    assert await accounts.user_by_address("JÖRG@bücher.example.org") == user


async def test_the_primary_address_is_listed_first(accounts: AccountStore) -> None:
    user = await accounts.add_user(
        "m@example.org", aliases=["z@example.org", "A@example.org", "M@example.org", "a@example.org"]
    )
    assert await accounts.addresses(user.id) == ["m@example.org", "a@example.org", "z@example.org"]
    assert await accounts.addresses(NOBODY) == []


async def test_an_address_belongs_to_one_user_and_a_refused_user_is_not_stored(
    accounts: AccountStore, alice: User
) -> None:
    for address, aliases in (
        ("Alice@example.org", []),
        ("bob@example.org", ["bobby@example.org", "SALES@example.org"]),
    ):
        with pytest.raises(UserExists):
            await accounts.add_user(address, aliases=aliases)
    for address in ("bob@example.org", "bobby@example.org"):
        with pytest.raises(UserNotFound):
            await accounts.user_by_address(address)
    assert (await accounts.add_user("bob@example.org")).id != alice.id


async def test_concurrent_users_with_the_same_address_give_one(accounts: AccountStore) -> None:
    outcomes = await asyncio.gather(*(accounts.add_user("alice@example.org") for _ in range(5)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["User"] + ["UserExists"] * 4


async def test_an_invalid_address_is_refused(accounts: AccountStore) -> None:
    with pytest.raises(InvalidAddress):
        await accounts.add_user("alice")
    with pytest.raises(InvalidAddress):
        await accounts.add_user("alice@example.org", aliases=["@"])
    with pytest.raises(UserNotFound):
        await accounts.user_by_address("alice@example.org")


async def test_a_domain_is_local_if_an_address_is_in_it(accounts: AccountStore, alice: User) -> None:
    assert await accounts.has_domain("example.org")
    assert await accounts.has_domain("EXAMPLE.ORG")
    for other in ("sub.example.org", "xample.org", "example", "%", "", "\x00"):
        assert not await accounts.has_domain(other)


async def test_a_named_domain_is_local_without_an_address(accounts: AccountStore, alice: User) -> None:
    assert await accounts.add_domain("BÜCHER.example") == "xn--bcher-kva.example"
    first = await accounts.domains()
    assert await accounts.add_domain("bücher.example") == "xn--bcher-kva.example"  # idempotent
    assert await accounts.domains() == first
    assert await accounts.has_domain("Bücher.example")
    assert not await accounts.has_domain("sub.bücher.example")
    await accounts.add_domain("example.org")
    assert [(each.name, each.added is not None, each.addresses) for each in await accounts.domains()] == [
        ("example.org", True, len(await accounts.addresses(alice.id))),
        ("xn--bcher-kva.example", True, 0),
    ]


async def test_a_domain_of_addresses_is_listed_without_being_named(accounts: AccountStore, alice: User) -> None:
    assert [(each.name, each.added) for each in await accounts.domains()] == [("example.org", None)]


async def test_a_domain_has_dkim_keys_of_several_selectors(accounts: AccountStore) -> None:
    for selector in ("one", "two"):
        await accounts.add_domain_key(DomainKey("Bücher.example", selector, {f"{selector}.test": "p=x"}))
    with pytest.raises(SelectorExists):
        await accounts.add_domain_key(DomainKey("bücher.example", "one", {}))
    newest, oldest = await accounts.domain_keys("xn--bcher-kva.example")
    assert (newest.selector, newest.records) == ("two", {"two.test": "p=x"})
    assert newest.created is not None
    assert oldest.created is not None
    assert newest.created >= oldest.created
    await accounts.remove_domain_key("BÜCHER.example", "one")
    await accounts.remove_domain_key("bücher.example", "one")  # idempotent
    assert await accounts.domain_keys("bücher.example") == [newest]
    assert await accounts.domain_keys("other.example") == []


@pytest.mark.parametrize(
    "domain", ["", "a b", "-a.example", "a..example", "x" * 64 + ".example", "[192.0.2.1]", "a\x00"]
)
async def test_an_invalid_domain_is_refused(accounts: AccountStore, domain: str) -> None:
    with pytest.raises(InvalidAddress):
        await accounts.add_domain(domain)
    assert await accounts.domains() == []


async def test_a_key_is_listed_as_created_without_its_secret(accounts: AccountStore, alice: User) -> None:
    expires = datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    scopes = [Scope.IMAP, Scope.API_READ]
    new = await accounts.create_key(alice.id, "phone ☎", scopes, expires)
    assert (new.key.user_id, new.key.name, new.key.scopes) == (alice.id, "phone ☎", frozenset(scopes))
    assert (new.key.expires, new.key.revoked, new.key.last_used) == (expires, None, None)
    assert new.key.expires is not None
    assert new.key.expires.utcoffset() == timedelta(0)
    assert new.secret.startswith(new.key.prefix)
    assert new.secret not in repr(new.key)
    assert await accounts.keys(alice.id) == [new.key]


async def test_keys_are_listed_newest_first_per_user(accounts: AccountStore, alice: User) -> None:
    made = [(await accounts.create_key(alice.id, str(number), [])).key for number in range(3)]
    bob = await accounts.add_user("bob@example.org")
    assert await accounts.keys(alice.id) == made[::-1]
    assert await accounts.keys(bob.id) == []


async def test_a_key_needs_a_user(accounts: AccountStore) -> None:
    with pytest.raises(UserNotFound):
        await accounts.create_key(NOBODY, "phone", [Scope.IMAP])


async def test_an_expiry_needs_a_time_zone(accounts: AccountStore, alice: User) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await accounts.create_key(alice.id, "phone", [], datetime(2030, 1, 1))
    assert await accounts.keys(alice.id) == []


async def test_a_key_is_revoked_once(accounts: AccountStore, alice: User) -> None:
    new, other = [await accounts.create_key(alice.id, name, []) for name in ("phone", "laptop")]
    before = datetime.now(UTC)
    revoked = await accounts.revoke_key(alice.id, new.key.id)
    assert revoked.revoked is not None
    assert before <= revoked.revoked <= datetime.now(UTC)
    assert await accounts.revoke_key(alice.id, new.key.id) == revoked
    assert await accounts.keys(alice.id) == [other.key, revoked]


async def test_a_key_is_revoked_only_by_its_user(accounts: AccountStore, alice: User) -> None:
    new = await accounts.create_key(alice.id, "phone", [])
    bob = await accounts.add_user("bob@example.org")
    for user_id, key_id in ((bob.id, new.key.id), (alice.id, new.key.id + 1_000_000), (NOBODY, new.key.id)):
        with pytest.raises(KeyNotFound):
            await accounts.revoke_key(user_id, key_id)
    assert await accounts.keys(alice.id) == [new.key]


async def test_the_usable_keys_of_a_user_are_limited(accounts: AccountStore, alice: User) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    for number in range(3):  # neither expired nor revoked keys count
        await accounts.create_key(alice.id, f"old {number}", [], past)
        await accounts.revoke_key(alice.id, (await accounts.create_key(alice.id, f"lost {number}", [])).key.id)
    made = [(await accounts.create_key(alice.id, str(number), [])).key for number in range(MAX_KEYS_PER_USER)]
    with pytest.raises(TooManyKeys):
        await accounts.create_key(alice.id, "one more", [])
    bob = await accounts.add_user("bob@example.org")
    await accounts.create_key(bob.id, "phone", [])
    await accounts.revoke_key(alice.id, made[0].id)
    outcomes = await asyncio.gather(
        *(accounts.create_key(alice.id, f"at once {number}", []) for number in range(4)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NewKey"] + ["TooManyKeys"] * 3


@pytest.mark.parametrize("name", ["", "x" * (MAX_KEY_NAME_CHARACTERS + 1), "two\nlines", "end\n", "\x1b[2J", "nul\0"])
async def test_the_name_of_a_key_is_a_short_line_of_text(name: str, accounts: AccountStore, alice: User) -> None:
    with pytest.raises(InvalidKeyName):
        await accounts.create_key(alice.id, name, [])
    assert await accounts.keys(alice.id) == []


async def test_a_user_is_disabled_once_and_enabled_again(accounts: AccountStore, alice: User) -> None:
    assert alice.disabled is None
    before = datetime.now(UTC)
    disabled = await accounts.set_disabled(alice.id, True)
    assert disabled.disabled is not None
    assert before <= disabled.disabled <= datetime.now(UTC)
    assert await accounts.set_disabled(alice.id, True) == disabled
    assert await accounts.user_by_address("sales@example.org") == disabled
    assert await accounts.users() == [disabled]
    assert await accounts.set_disabled(alice.id, False) == alice
    assert await accounts.set_disabled(alice.id, False) == alice
    with pytest.raises(UserNotFound):
        await accounts.set_disabled(NOBODY, True)


async def test_revocations_since_a_time_are_of_keys_and_users(accounts: AccountStore, alice: User) -> None:
    bob = await accounts.add_user("bob@example.org")
    keys = [(await accounts.create_key(user.id, "phone", [])).key for user in (alice, alice, bob)]
    start = datetime.now(UTC)
    assert await accounts.revoked_since(start) == Revoked()
    revoked = await accounts.revoke_key(alice.id, keys[0].id)
    disabled = await accounts.set_disabled(bob.id, True)
    expected = Revoked(frozenset({keys[0].id}), frozenset({bob.id}))
    assert await accounts.revoked_since(start) == expected
    assert revoked.revoked is not None
    assert disabled.disabled is not None
    assert await accounts.revoked_since(revoked.revoked) == expected
    after = max(revoked.revoked, disabled.disabled) + timedelta(microseconds=1)
    assert await accounts.revoked_since(after) == Revoked()
    await accounts.set_disabled(bob.id, False)
    assert (await accounts.revoked_since(start)).user_ids == frozenset()


async def test_a_disabled_user_is_refused_by_every_address(accounts: AccountStore, alice: User) -> None:
    new = await accounts.create_key(alice.id, "phone", [Scope.IMAP])
    await accounts.set_disabled(alice.id, True)
    authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
    for login in ("alice@example.org", "sales@example.org"):
        assert not isinstance(await authenticator.validate(login, new.secret, Scope.IMAP, "192.0.2.1"), Granted)


async def test_keys_are_found_by_prefix_with_hash_and_user(accounts: AccountStore, alice: User) -> None:
    new = await accounts.create_key(alice.id, "phone", [Scope.IMAP])
    await accounts.create_key(alice.id, "laptop", [Scope.IMAP])
    identity = identify(new.secret, await accounts.hash_secret())
    assert await accounts.keys_by_prefix(identity.prefix) == [(new.key, identity.hash, alice)]
    assert await accounts.keys_by_prefix("rm_nothing-here") == []


async def test_revoked_keys_and_all_keys_of_one_prefix_are_found(accounts: AccountStore, alice: User) -> None:
    bob, secret = await accounts.add_user("bob@example.org"), "chosen by both"
    keys = [(await accounts.create_key(user.id, "seeded", [], secret=secret)).key for user in (alice, bob)]
    revoked = await accounts.revoke_key(bob.id, keys[1].id)
    identity = identify(secret, await accounts.hash_secret())
    found = {key.id: (key, key_hash, user) for key, key_hash, user in await accounts.keys_by_prefix(identity.prefix)}
    assert found == {keys[0].id: (keys[0], identity.hash, alice), revoked.id: (revoked, identity.hash, bob)}


async def test_the_secrets_stay_the_same(accounts: AccountStore) -> None:
    kinds = accounts.hash_secret, accounts.envelope_secret, accounts.sign_in_secret
    first = [await secret() for secret in kinds]
    assert min(map(len, first)) >= 32
    assert len(set(first)) == len(kinds)
    assert [await secret() for secret in kinds] == first


async def test_the_last_use_of_keys_never_decreases(accounts: AccountStore, alice: User) -> None:
    phone, laptop = [(await accounts.create_key(alice.id, name, [])).key for name in ("phone", "laptop")]
    noon = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    await accounts.touch_keys({phone.id: noon, laptop.id: noon, laptop.id + 1_000_000: noon})
    await accounts.touch_keys({phone.id: noon - timedelta(1), laptop.id: noon + timedelta(1)})
    await accounts.touch_keys({})
    assert [key.last_used for key in await accounts.keys(alice.id)] == [noon + timedelta(1), noon]


async def test_a_login_with_a_key_of_this_store_is_granted(accounts: AccountStore, alice: User) -> None:
    new = await accounts.create_key(alice.id, "phone", [Scope.IMAP])
    last_used = LastUsedWriter(accounts)
    authenticator = KeyAuthenticator(accounts, last_used)
    for login in ("alice@example.org", "Sales@example.org"):
        granted = await authenticator.validate(login, new.secret, Scope.IMAP, "192.0.2.1")
        assert granted == Granted(alice, new.key.id, "phone", frozenset({Scope.IMAP}))
    await last_used.flush()
    (key,) = await accounts.keys(alice.id)
    assert key.last_used is not None


# --- removed users, further addresses, quotas


async def test_removing_a_user_removes_its_addresses_and_keys(accounts: AccountStore, alice: User) -> None:
    key = await accounts.create_key(alice.id, "phone", [Scope.IMAP])
    assert await accounts.remove_user(alice.id) == ["alice@example.org", "a@example.org", "sales@example.org"]
    assert await accounts.users() == []
    assert await accounts.keys_by_prefix(key.key.prefix) == []
    for address in ("alice@example.org", "sales@example.org"):
        with pytest.raises(UserNotFound):
            await accounts.user_by_address(address)
    assert not await accounts.has_domain("example.org")
    with pytest.raises(UserNotFound):
        await accounts.remove_user(alice.id)


async def test_a_removal_is_a_revocation(accounts: AccountStore, alice: User) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await accounts.remove_user(alice.id, free=True)
    assert await accounts.revoked_since(before) == Revoked(user_ids=frozenset({alice.id}))
    assert await accounts.removed_users() == [alice.id]


async def test_addresses_of_a_removed_user_are_reserved_until_freed(accounts: AccountStore, alice: User) -> None:
    bob = await accounts.add_user("bob@example.org")
    await accounts.remove_user(alice.id)
    assert await accounts.is_blocked("SALES@example.org")
    for give in (accounts.add_user("Alice@example.org"), accounts.add_alias(bob.id, "alice@example.org")):
        with pytest.raises(AddressBlocked):
            await give
    assert await accounts.free_address("Alice@example.org")
    assert not await accounts.free_address("alice@example.org")
    assert (await accounts.add_user("alice@example.org")).id != alice.id
    assert await accounts.is_blocked("sales@example.org")


async def test_freed_addresses_and_catch_alls_are_available_at_once(accounts: AccountStore, alice: User) -> None:
    bob = await accounts.add_user("bob@example.org", aliases=["*@example.org"])
    await accounts.remove_user(alice.id, free=True)
    await accounts.remove_user(bob.id)
    again = await accounts.add_user("alice@example.org", aliases=["*@example.org"])
    assert await accounts.addresses(again.id) == ["alice@example.org", "*@example.org"]


async def test_aliases_are_added_and_removed(accounts: AccountStore, alice: User) -> None:
    bob = await accounts.add_user("bob@example.org")
    for _ in range(2):
        assert await accounts.add_alias(bob.id, "Bobby@example.org") == ["bob@example.org", "bobby@example.org"]
    with pytest.raises(UserExists):
        await accounts.add_alias(bob.id, "sales@example.org")
    with pytest.raises(InvalidAddress):
        await accounts.add_alias(bob.id, "bob")
    with pytest.raises(UserNotFound):
        await accounts.add_alias(NOBODY, "new@example.org")
    for stays in ("bob@example.org", "sales@example.org", "other@example.org"):
        with pytest.raises(AddressNotFound):
            await accounts.remove_alias(bob.id, stays)
    assert await accounts.remove_alias(bob.id, "BOBBY@example.org") == ["bob@example.org"]
    assert await accounts.add_alias(alice.id, "bobby@example.org")  # free since its removal


async def test_a_quota_is_set_and_lifted(accounts: AccountStore, alice: User) -> None:
    assert (await accounts.set_quota(alice.id, 5 * 2**40)).quota == 5 * 2**40
    assert (await accounts.user_by_address(alice.address)).quota == 5 * 2**40
    assert (await accounts.set_quota(alice.id, None)).quota is None
    with pytest.raises(UserNotFound):
        await accounts.set_quota(NOBODY, 1)


@pytest.mark.parametrize("kind", ["memory", "sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def test_a_removed_address_is_free_after_thirty_days(kind: str, request: pytest.FixtureRequest) -> None:
    today = datetime(2030, 1, 1, tzinfo=UTC)
    moments = [today, today + BLOCK_PERIOD - timedelta(seconds=1), today + BLOCK_PERIOD]
    clock = iter(moments)
    now = next(clock)

    def tell() -> datetime:
        return now

    async with AsyncExitStack() as stack:
        accounts: AccountStore = MemoryAccountStore(now=tell)
        if kind != "memory":
            engine = open_engine(request.getfixturevalue(kind))
            stack.push_async_callback(engine.dispose)
            accounts = SqlAccountStore(engine, now=tell)
        alice = await accounts.add_user("alice@example.org")
        await accounts.remove_user(alice.id)
        now = next(clock)
        with pytest.raises(AddressBlocked):
            await accounts.add_user("alice@example.org")
        assert await accounts.removed_users() == [alice.id]
        now = next(clock)
        assert not await accounts.is_blocked("alice@example.org")
        assert await accounts.removed_users() == []
        assert (await accounts.add_user("alice@example.org")).id != alice.id


async def test_a_new_identity_gets_an_address_that_is_free(accounts: AccountStore) -> None:
    await accounts.add_domain("example.org")
    identity = Identity(ISSUER, "1")
    user = await accounts.add_identity(identity, "Carol@EXAMPLE.org", "Carol")
    assert (user.address, user.display_name, user.quota, user.disabled) == ("carol@example.org", "Carol", None, None)
    for found in (
        await accounts.user_by_identity(identity),
        await accounts.user(user.id),
        await accounts.user_by_address("carol@example.org"),
    ):
        assert found == user
    assert await accounts.addresses(user.id) == ["carol@example.org"]


async def test_an_identity_is_added_once_and_keeps_what_it_had(accounts: AccountStore) -> None:
    await accounts.add_domain("example.org")
    first = await accounts.add_identity(Identity(ISSUER, "1"), "carol@example.org")
    assert await accounts.add_identity(Identity(ISSUER, "1"), "other@example.org", "New name") == first
    assert await accounts.users() == [first]


async def test_concurrent_first_logins_add_one_user(accounts: AccountStore) -> None:
    await accounts.add_domain("example.org")
    added = await asyncio.gather(*(accounts.add_identity(Identity(ISSUER, "1"), "carol@example.org") for _ in range(5)))
    assert {user.id for user in added} == {added[0].id}
    assert len(await accounts.users()) == 1


async def test_concurrent_identities_with_one_address_give_it_to_one(accounts: AccountStore) -> None:
    await accounts.add_domain("example.org")
    added = await asyncio.gather(
        *(accounts.add_identity(Identity(ISSUER, str(number)), "carol@example.org") for number in range(5))
    )
    assert sorted(user.address for user in added) == ["", "", "", "", "carol@example.org"]


async def test_identities_differ_by_issuer_and_by_subject_exactly(accounts: AccountStore) -> None:
    identities = [Identity(ISSUER, "a"), Identity(ISSUER, "A"), Identity(f"{ISSUER}/", "a")]
    users = [await accounts.add_identity(identity) for identity in identities]
    assert len({user.id for user in users}) == 3
    assert [await accounts.user_by_identity(identity) for identity in identities] == users
    with pytest.raises(UserNotFound):
        await accounts.user_by_identity(Identity(ISSUER, "b"))


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.org",  # of a user
        "sales@example.org",  # a further one
        "alice+detail@example.org",  # reaches the same user
        "any@caught.example",  # by a catch-all
        "removed@example.org",  # blocked
        "dave@elsewhere.example",  # not local
        "*@example.org",
        "no address",
        "",
    ],
)
async def test_an_identity_gets_no_address_that_another_has_or_had(
    accounts: AccountStore, alice: User, address: str
) -> None:
    await accounts.add_alias(alice.id, "*@caught.example")
    await accounts.remove_user((await accounts.add_user("removed@example.org")).id)
    user = await accounts.add_identity(Identity(ISSUER, "1"), address)
    assert user.address == ""
    assert user.id != alice.id
    assert await accounts.addresses(user.id) == []
    assert await accounts.user_by_address("alice@example.org") == alice


async def test_the_first_address_of_a_user_without_one_is_the_primary_one(accounts: AccountStore) -> None:
    user = await accounts.add_identity(Identity(ISSUER, "1"))
    await accounts.add_alias(user.id, "*@example.net")
    assert (await accounts.user(user.id)).address == ""
    await accounts.add_alias(user.id, "z@example.net")
    await accounts.add_alias(user.id, "a@example.net")
    assert (await accounts.user(user.id)).address == "z@example.net"
    assert await accounts.addresses(user.id) == ["z@example.net", "*@example.net", "a@example.net"]


async def test_a_user_without_an_address_is_removed_and_that_is_told(accounts: AccountStore) -> None:
    identity = Identity(ISSUER, "1")
    user = await accounts.add_identity(identity)
    since = datetime.now(UTC)
    assert await accounts.remove_user(user.id) == []
    assert (await accounts.revoked_since(since)).user_ids == {user.id}
    assert await accounts.removed_users() == [user.id]
    with pytest.raises(UserNotFound):
        await accounts.user_by_identity(identity)


async def test_a_user_without_an_address_does_not_log_in_by_one(accounts: AccountStore) -> None:
    user = await accounts.add_identity(Identity(ISSUER, "1"))
    key = (await accounts.create_key(user.id, "phone", [Scope.IMAP, Scope.APP])).secret
    authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
    for login in ("", "nonsense", "@"):
        assert not isinstance(await authenticator.validate(login, key, Scope.IMAP, "192.0.2.1"), Granted)
    granted = await authenticator.validate_key(key, "192.0.2.1")
    assert isinstance(granted, Granted)
    assert granted.user == user


async def test_users_are_paged_by_id(accounts: AccountStore) -> None:
    added = [await accounts.add_user(f"{name}@example.org") for name in "cab"]
    first = await accounts.users_after(UserId(0), 2)
    assert [*first, *await accounts.users_after(first[-1].id, 2)] == added
    assert await accounts.users_after(added[-1].id, 2) == []


async def test_a_display_name_is_changed(accounts: AccountStore, alice: User) -> None:
    assert (await accounts.set_display_name(alice.id, "Älice B")).display_name == "Älice B"
    assert (await accounts.user(alice.id)).display_name == "Älice B"
    for change in (accounts.set_display_name(NOBODY, "x"), accounts.user(NOBODY)):
        with pytest.raises(UserNotFound):
            await change
