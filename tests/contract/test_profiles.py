"""The contract of what users set about themselves: preferences and claimed addresses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from relate_accounts.claims import (
    CODE_PERIOD,
    CODES_PER_PERIOD,
    CODES_PERIOD,
    MAX_CLAIMS,
    MAX_TRIES,
    generate_code,
    hash_code,
)
from relate_accounts.directory import KNOWN_SECONDS, CachedDirectory
from relate_accounts.errors import AddressNotFound, TooManyClaims, TooManyCodes, UserNotFound, WrongCode
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.ports import AccountStore
from relate_accounts.profile_ports import Preference
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import User, UserId
from relate_mailstore.sql.driver.engine import open_engine

NOBODY = UserId(2**40)
OFFICE = "office@customer.test"
RIGHT, WRONG = b"r" * 32, b"w" * 32


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.time = datetime(2026, 8, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def accounts(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[AccountStore]:
    if request.param == "memory":
        yield MemoryAccountStore(now=clock)
    else:
        engine = open_engine(request.getfixturevalue(request.param))
        yield SqlAccountStore(engine, now=clock)
        await engine.dispose()


@pytest.fixture
async def alice(accounts: AccountStore) -> User:
    return await accounts.add_user("alice@example.org", "Alice")


@pytest.fixture
async def bob(accounts: AccountStore) -> User:
    return await accounts.add_user("bob@example.org")


async def test_preferences_are_those_that_were_chosen(accounts: AccountStore, alice: User, bob: User) -> None:
    assert await accounts.profiles.preferences(alice.id) == {}
    await accounts.profiles.set_preferences(alice.id, {"theme": "dark", "emailsPerPage": 50, "showPreview": False})
    await accounts.profiles.set_preferences(alice.id, {"emailsPerPage": 20})
    await accounts.profiles.set_preferences(alice.id, {})
    expected = {"theme": "dark", "emailsPerPage": 20, "showPreview": False}
    chosen = await accounts.profiles.preferences(alice.id)
    assert chosen == expected
    assert {name: type(value) for name, value in chosen.items()} == {name: type(v) for name, v in expected.items()}
    assert await accounts.profiles.preferences(bob.id) == {}


async def test_concurrent_choices_do_not_undo_each_other(accounts: AccountStore, alice: User) -> None:
    choices: list[dict[str, Preference]] = [{"theme": "dark"}, {"showPreview": False}, {"emailsPerPage": 50}]
    await asyncio.gather(*(accounts.profiles.set_preferences(alice.id, choice) for choice in choices))
    assert await accounts.profiles.preferences(alice.id) == {"theme": "dark", "showPreview": False, "emailsPerPage": 50}


async def test_an_unknown_user_has_no_profile(accounts: AccountStore) -> None:
    profiles = accounts.profiles
    for chosen in ({"theme": "dark"}, {}):
        with pytest.raises(UserNotFound):
            await profiles.set_preferences(NOBODY, chosen)
    with pytest.raises(UserNotFound):
        await profiles.claim(NOBODY, OFFICE, RIGHT)
    with pytest.raises(UserNotFound):
        await accounts.set_display_name(NOBODY, "Nobody")
    with pytest.raises(AddressNotFound):
        await profiles.prove(NOBODY, OFFICE, RIGHT)
    with pytest.raises(AddressNotFound):
        await profiles.withdraw(NOBODY, OFFICE)
    assert (await profiles.preferences(NOBODY), await profiles.claims(NOBODY)) == ({}, [])


async def test_a_display_name_is_changed(accounts: AccountStore, alice: User) -> None:
    changed = await accounts.set_display_name(alice.id, "Älice")
    assert changed.display_name == "Älice"
    assert await accounts.user_by_address(alice.address) == changed


async def test_a_claim_is_proved_by_its_code_only(accounts: AccountStore, clock: Clock, alice: User, bob: User) -> None:
    profiles = accounts.profiles
    claim = await profiles.claim(alice.id, OFFICE, RIGHT)
    assert (claim.address, claim.code_made, claim.verified) == (OFFICE, clock.time, None)
    with pytest.raises(WrongCode):
        await profiles.prove(alice.id, OFFICE, WRONG)
    with pytest.raises(AddressNotFound):
        await profiles.prove(bob.id, OFFICE, RIGHT)
    assert not await profiles.has_proved(alice.id, OFFICE)
    clock.time += timedelta(minutes=1)
    proved = await profiles.prove(alice.id, OFFICE, RIGHT)
    assert proved.verified == clock.time
    assert await profiles.claims(alice.id) == [proved]
    assert await profiles.has_proved(alice.id, OFFICE)
    assert not await profiles.has_proved(bob.id, OFFICE)


async def test_a_proved_claim_stays_proved(accounts: AccountStore, clock: Clock, alice: User) -> None:
    profiles = accounts.profiles
    await profiles.claim(alice.id, OFFICE, RIGHT)
    proved = await profiles.prove(alice.id, OFFICE, RIGHT)
    clock.time += 2 * CODE_PERIOD
    assert await profiles.claim(alice.id, OFFICE, WRONG) == proved
    assert await profiles.prove(alice.id, OFFICE, RIGHT) == proved
    with pytest.raises(WrongCode):
        await profiles.prove(alice.id, OFFICE, WRONG)
    assert await profiles.claims(alice.id) == [proved]


async def test_several_users_prove_one_address(accounts: AccountStore, alice: User, bob: User) -> None:
    for user in (alice, bob):
        await accounts.profiles.claim(user.id, OFFICE, RIGHT)
        await accounts.profiles.prove(user.id, OFFICE, RIGHT)
    assert await accounts.profiles.has_proved(alice.id, OFFICE)
    await accounts.profiles.withdraw(alice.id, OFFICE)
    assert not await accounts.profiles.has_proved(alice.id, OFFICE)
    assert await accounts.profiles.has_proved(bob.id, OFFICE)


async def test_a_code_is_refused_after_too_many_tries(accounts: AccountStore, alice: User) -> None:
    profiles = accounts.profiles
    await profiles.claim(alice.id, OFFICE, RIGHT)
    for _ in range(MAX_TRIES):
        with pytest.raises(WrongCode):
            await profiles.prove(alice.id, OFFICE, WRONG)
    with pytest.raises(WrongCode):
        await profiles.prove(alice.id, OFFICE, RIGHT)
    await profiles.claim(alice.id, OFFICE, RIGHT)  # another code
    assert (await profiles.prove(alice.id, OFFICE, RIGHT)).verified


async def test_concurrent_tries_are_all_counted(accounts: AccountStore, alice: User) -> None:
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    tries = (accounts.profiles.prove(alice.id, OFFICE, WRONG) for _ in range(MAX_TRIES))
    assert all(isinstance(each, WrongCode) for each in await asyncio.gather(*tries, return_exceptions=True))
    with pytest.raises(WrongCode):
        await accounts.profiles.prove(alice.id, OFFICE, RIGHT)


async def test_a_code_expires(accounts: AccountStore, clock: Clock, alice: User) -> None:
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    clock.time += CODE_PERIOD
    with pytest.raises(WrongCode):
        await accounts.profiles.prove(alice.id, OFFICE, RIGHT)


async def test_a_new_code_replaces_the_one_before(accounts: AccountStore, alice: User) -> None:
    await accounts.profiles.claim(alice.id, OFFICE, WRONG)
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    with pytest.raises(WrongCode):
        await accounts.profiles.prove(alice.id, OFFICE, WRONG)
    assert (await accounts.profiles.prove(alice.id, OFFICE, RIGHT)).verified


async def test_codes_are_limited_also_by_withdrawn_claims(
    accounts: AccountStore, clock: Clock, alice: User, bob: User
) -> None:
    profiles = accounts.profiles
    for _ in range(CODES_PER_PERIOD):
        await profiles.claim(alice.id, OFFICE, RIGHT)
        await profiles.withdraw(alice.id, OFFICE)
    with pytest.raises(TooManyCodes):
        await profiles.claim(alice.id, OFFICE, RIGHT)
    await profiles.claim(bob.id, OFFICE, RIGHT)
    clock.time += CODES_PERIOD
    await profiles.claim(alice.id, OFFICE, RIGHT)


async def test_claims_are_limited(accounts: AccountStore, clock: Clock, alice: User) -> None:
    claimed = [f"{number}@customer.test" for number in range(MAX_CLAIMS)]
    for address in claimed:
        clock.time += CODES_PERIOD
        await accounts.profiles.claim(alice.id, address, RIGHT)
    clock.time += CODES_PERIOD
    with pytest.raises(TooManyClaims):
        await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    await accounts.profiles.claim(alice.id, claimed[0], RIGHT)
    assert [claim.address for claim in await accounts.profiles.claims(alice.id)] == sorted(claimed)


async def test_concurrent_claims_do_not_exceed_the_limit(accounts: AccountStore, alice: User) -> None:
    claims = (accounts.profiles.claim(alice.id, f"{n}@customer.test", RIGHT) for n in range(CODES_PER_PERIOD + 2))
    results = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(isinstance(result, TooManyCodes) for result in results) == 2
    assert len(await accounts.profiles.claims(alice.id)) == CODES_PER_PERIOD


async def test_a_claim_is_withdrawn_once(accounts: AccountStore, alice: User) -> None:
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    await accounts.profiles.withdraw(alice.id, OFFICE)
    assert await accounts.profiles.claims(alice.id) == []
    with pytest.raises(AddressNotFound):
        await accounts.profiles.withdraw(alice.id, OFFICE)


async def test_a_removed_user_has_no_profile(accounts: AccountStore, alice: User) -> None:
    profiles = accounts.profiles
    await profiles.set_preferences(alice.id, {"theme": "dark"})
    await profiles.claim(alice.id, OFFICE, RIGHT)
    await profiles.prove(alice.id, OFFICE, RIGHT)
    await accounts.remove_user(alice.id)
    assert (await profiles.preferences(alice.id), await profiles.claims(alice.id)) == ({}, [])
    assert not await profiles.has_proved(alice.id, OFFICE)


async def test_a_user_may_send_from_a_proved_address_that_routes_nothing(
    accounts: AccountStore, alice: User, bob: User
) -> None:
    time = 0.0
    directory = CachedDirectory(accounts, lambda: time)
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    assert not await directory.owns(alice.id, OFFICE)
    await accounts.profiles.prove(alice.id, OFFICE, RIGHT)
    time += KNOWN_SECONDS
    assert await directory.owns(alice.id, "Office@CUSTOMER.test")
    assert not await directory.owns(alice.id, "office+sales@customer.test")
    assert not await directory.owns(bob.id, OFFICE)
    assert await directory.resolve(OFFICE) is None
    assert not await directory.is_local("customer.test")
    assert not await accounts.has_domain("customer.test")


async def test_a_proved_address_counts_no_longer_when_its_domain_becomes_local(
    accounts: AccountStore, alice: User, bob: User
) -> None:
    time = 0.0
    directory = CachedDirectory(accounts, lambda: time)
    await accounts.profiles.claim(alice.id, OFFICE, RIGHT)
    await accounts.profiles.prove(alice.id, OFFICE, RIGHT)
    assert await directory.owns(alice.id, OFFICE)
    await accounts.add_domain("customer.test")
    time += KNOWN_SECONDS
    assert not await directory.owns(alice.id, OFFICE)
    await accounts.add_alias(bob.id, OFFICE)
    time += KNOWN_SECONDS
    assert not await directory.owns(alice.id, OFFICE)
    assert await directory.owns(bob.id, OFFICE)


def test_codes_are_random_and_their_hashes_are_of_one_user_and_address() -> None:
    codes = {generate_code() for _ in range(100)}
    assert len(codes) == 100
    code = codes.pop()
    hashes = [
        hash_code(secret, UserId(user), address, given)
        for secret in (b"a" * 32, b"b" * 32)
        for user in (1, 11)
        for address in (OFFICE, "other@customer.test")
        for given in (code, code + "x", "", "\ud800")
    ]
    assert len({*hashes}) == len(hashes)
    assert hash_code(b"a" * 32, UserId(1), OFFICE, code) == hashes[0]
