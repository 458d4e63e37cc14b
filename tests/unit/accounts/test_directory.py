import asyncio

import pytest

from relate_accounts.directory import UNKNOWN_OCTETS, CachedDirectory
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.types import Recipient, User
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.gated_store import GatedStore


@pytest.fixture
async def alice(store: GatedStore) -> User:
    return await store.add_user("alice@example.org", aliases=["jörg@bücher.example", "a+news@example.org"], quota=1_000)


@pytest.fixture
def directory(store: GatedStore, clock: HandClock) -> CachedDirectory:
    return CachedDirectory(store, clock)


@pytest.mark.parametrize(
    ("address", "matched"),
    [
        ("ALICE@example.ORG", "alice@example.org"),
        ("alice+shop@example.org", "alice@example.org"),
        ("Jo\u0308rg@BÜCHER.example", "jörg@xn--bcher-kva.example"),
        ('"alice"@example.org', "alice@example.org"),
        ("a+news@example.org", "a+news@example.org"),
    ],
)
async def test_an_address_is_resolved_in_any_form(
    address: str, matched: str, directory: CachedDirectory, alice: User
) -> None:
    assert await directory.resolve(address) == Recipient(alice.id, matched, 1_000)


async def test_an_exact_address_has_priority_over_one_without_detail(
    directory: CachedDirectory, alice: User, store: GatedStore
) -> None:
    shop = await store.add_user("alice+shop@example.org")
    exact, other = await directory.resolve("alice+shop@example.org"), await directory.resolve("alice+x@example.org")
    assert exact is not None
    assert other is not None
    assert (exact.user_id, other.user_id) == (shop.id, alice.id)


@pytest.mark.parametrize(
    "address",
    ["bob@example.org", "alice@example.com", "postmaster@example.org", "a@example.org", "alice", "+x@example.org"],
)
async def test_other_addresses_are_not_resolved(address: str, directory: CachedDirectory, alice: User) -> None:
    assert await directory.resolve(address) is None


async def test_a_user_owns_the_addresses_that_reach_them(
    directory: CachedDirectory, alice: User, store: GatedStore
) -> None:
    bob = await store.add_user("bob@example.org")
    for address in ("Alice@example.org", "alice+shop@example.org", "jörg@bücher.example"):
        assert await directory.owns(alice.id, address)
        assert not await directory.owns(bob.id, address)
    for address in ("", "bob@example.org", "mallory@example.com", "alice@"):
        assert not await directory.owns(alice.id, address)


async def test_a_domain_with_an_address_is_local(directory: CachedDirectory, alice: User) -> None:
    for domain in ("example.org", "EXAMPLE.org", "bücher.example", "xn--bcher-kva.example"):
        assert await directory.is_local(domain)
    for domain in ("example.com", "org", "", "ample.org", "%", "[192.0.2.1]", "\x00"):
        assert not await directory.is_local(domain)


async def test_results_are_cached_for_30_seconds_and_misses_for_5(
    directory: CachedDirectory, alice: User, store: GatedStore, clock: HandClock
) -> None:
    async def ask() -> None:
        await directory.resolve("alice@example.org")
        await directory.resolve("bob@example.org")
        await directory.is_local("example.org")
        await directory.is_local("example.com")

    await ask()
    clock.advance(4.9)
    await ask()
    assert store.calls == {"user_by_address": 3, "has_domain": 2}  # two addresses, and the catch-all of their domain
    clock.advance(0.1)
    await ask()
    assert store.calls == {"user_by_address": 5, "has_domain": 3}
    clock.advance(25)
    await ask()
    assert store.calls == {"user_by_address": 8, "has_domain": 5}


async def test_a_new_address_is_found_within_5_seconds(
    directory: CachedDirectory, store: GatedStore, clock: HandClock
) -> None:
    assert await directory.resolve("bob@example.org") is None
    bob = await store.add_user("bob@example.org")
    clock.advance(5)
    recipient = await directory.resolve("bob@example.org")
    assert recipient is not None
    assert recipient.user_id == bob.id


async def test_concurrent_requests_are_one_query(directory: CachedDirectory, alice: User, store: GatedStore) -> None:
    await asyncio.gather(*(directory.resolve("alice@example.org") for _ in range(100)))
    assert store.calls == {"user_by_address": 1}


async def test_a_database_failure_is_not_cached(directory: CachedDirectory, alice: User, store: GatedStore) -> None:
    store.broken = True
    with pytest.raises(AccountsUnavailable):
        await directory.resolve("alice@example.org")
    with pytest.raises(AccountsUnavailable):
        await directory.is_local("example.org")
    store.broken = False
    assert await directory.resolve("alice@example.org") is not None
    assert await directory.is_local("example.org")


async def test_the_cache_is_bounded_by_its_share(store: GatedStore, clock: HandClock) -> None:
    directory = CachedDirectory(store, clock, cache_octets=300_000)
    for number in range(50):
        await directory.resolve(f"user{number}@example.org")
    assert len(directory._recipients._unknown) == 9
    cache = directory.caches["directory"]
    assert (cache.octets, cache.limit_octets) == (9 * UNKNOWN_OCTETS, 12_000)
    assert (cache.hits, cache.misses) == (49, 51)  # all addresses have the same catch-all


async def test_a_catch_all_gets_mail_for_unknown_addresses_of_its_domain(
    directory: CachedDirectory, alice: User, store: GatedStore
) -> None:
    bob = await store.add_user("bob@example.org", aliases=["*@example.org"])
    for address, user in (
        ("alice@example.org", alice),
        ("alice+x@example.org", alice),
        ("any@example.org", bob),
        ("any+x@example.org", bob),
    ):
        recipient = await directory.resolve(address)
        assert recipient is not None
        assert recipient.user_id == user.id
    assert await directory.resolve("any@sub.example.org") is None
    assert await directory.owns(bob.id, "any@example.org")
    assert not await directory.owns(bob.id, "alice@example.org")


async def test_a_catch_all_gets_no_mail_for_a_removed_user(
    directory: CachedDirectory, alice: User, store: GatedStore
) -> None:
    await store.add_user("bob@example.org", aliases=["*@example.org"])
    await store.remove_user(alice.id)
    assert await directory.resolve("alice@example.org") is None
    assert await directory.resolve("alice+x@example.org") is None
    await store.free_address("alice@example.org")
    assert await CachedDirectory(store).resolve("alice@example.org") is not None
