import asyncio

import pytest

from relate_accounts.ratelimit import (
    DELAY_SECONDS,
    PER_CLIENT,
    PER_SITE,
    Limit,
    TokenBuckets,
    WrongLogins,
    client_network,
    client_site,
)
from tests.unit.accounts.clocks import HandClock
from tests.unit.accounts.fake_sleep import FakeSleep

HOME = "192.0.2.1"
MAX_BUCKETS = 10


@pytest.fixture
def wrong(clock: HandClock, fake_sleep: FakeSleep) -> WrongLogins:
    return WrongLogins(clock, fake_sleep)


def buckets_of(burst: int, clock: HandClock) -> TokenBuckets:
    return TokenBuckets(Limit(burst, seconds=10, delayed=1), clock, MAX_BUCKETS)


def test_a_bucket_gives_its_burst_and_then_one_token_at_a_time(clock: HandClock) -> None:
    buckets = buckets_of(3, clock)
    for _ in range(3):
        assert not buckets.is_empty("a")
        buckets.spend("a")
    assert buckets.is_empty("a")
    assert not buckets.is_empty("b")
    clock.advance(9.9)
    assert buckets.is_empty("a")
    clock.advance(0.2)
    assert not buckets.is_empty("a")
    buckets.spend("a")
    assert buckets.is_empty("a")


def test_a_bucket_never_exceeds_its_burst(clock: HandClock) -> None:
    buckets = buckets_of(2, clock)
    buckets.spend("a")
    clock.advance(1_000_000)
    buckets.spend("a")
    buckets.spend("a")
    assert buckets.is_empty("a")


def test_spending_from_an_empty_bucket_makes_no_debt(clock: HandClock) -> None:
    buckets = buckets_of(1, clock)
    for _ in range(100):
        buckets.spend("a")
    clock.advance(10.1)
    assert not buckets.is_empty("a")


def test_tokens_are_refilled_during_an_attack(clock: HandClock) -> None:
    buckets = buckets_of(1, clock)
    for _ in range(11):
        buckets.spend("a")
        assert buckets.is_empty("a")
        clock.advance(1)
    assert not buckets.is_empty("a")


def test_the_table_of_buckets_evicts_the_least_recently_used(clock: HandClock) -> None:
    buckets = buckets_of(1, clock)
    for number in range(MAX_BUCKETS + 100):
        buckets.spend(str(number))
    assert len(buckets) == MAX_BUCKETS
    assert not buckets.is_empty("0")
    assert buckets.is_empty(str(MAX_BUCKETS + 99))


def test_wrong_logins_are_within_the_limit_up_to_the_burst(wrong: WrongLogins) -> None:
    assert [wrong.spend(HOME) for _ in range(PER_CLIENT.burst + 5)] == [True] * PER_CLIENT.burst + [False] * 5
    assert wrong.is_limited(HOME)
    assert not wrong.is_limited("198.51.100.7")


def test_networks_of_one_site_share_its_limit(wrong: WrongLogins) -> None:
    clients = [f"2001:db8:7:{number:x}::1" for number in range(PER_SITE.burst + 5)]
    assert [wrong.spend(client) for client in clients] == [True] * PER_SITE.burst + [False] * 5
    assert wrong.is_limited("2001:db8:7:ffff::1")
    assert not wrong.is_limited("2001:db8:8::1")


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_is_limited_as_other_clients(client: str, wrong: WrongLogins) -> None:
    for _ in range(PER_CLIENT.burst):
        wrong.spend("127.0.0.1")
    assert wrong.is_limited(client)


async def test_a_wrong_login_beyond_the_limit_is_delayed(wrong: WrongLogins, fake_sleep: FakeSleep) -> None:
    await wrong.delay(HOME)
    assert fake_sleep.seconds == [DELAY_SECONDS]


@pytest.mark.parametrize(
    ("clients", "most"),
    [
        ([HOME] * 1_000, PER_CLIENT.delayed),
        ([f"2001:db8:7:{number:x}::1" for number in range(1_000)], PER_SITE.delayed),
    ],
    ids=["of one address", "of one site"],
)
async def test_concurrent_delays_are_bounded(
    clients: list[str], most: int, wrong: WrongLogins, fake_sleep: FakeSleep
) -> None:
    fake_sleep.gate.clear()
    waiting = [asyncio.create_task(wrong.delay(client)) for client in clients]
    await asyncio.sleep(0)
    assert sum(not task.done() for task in waiting) == len(fake_sleep.seconds) == most
    fake_sleep.gate.set()
    await asyncio.gather(*waiting)
    assert not wrong._delayed
    await wrong.delay(clients[0])  # another one may wait now
    assert len(fake_sleep.seconds) == most + 1


async def test_a_cancelled_login_no_longer_counts_as_delayed(wrong: WrongLogins, fake_sleep: FakeSleep) -> None:
    fake_sleep.gate.clear()
    waiting = asyncio.create_task(wrong.delay(HOME))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not wrong._delayed


@pytest.mark.parametrize(
    ("client", "network", "site"),
    [
        ("192.0.2.1", "192.0.2.1", None),
        ("::ffff:192.0.2.1", "192.0.2.1", None),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::5", "::/64", "::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("::1", "loopback", None),
        ("127.9.9.9", "loopback", None),
        ("", "loopback", None),
        ("testclient", "testclient", None),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(client: str, network: str, site: str | None) -> None:
    assert client_network(client) == network
    assert client_site(client) == site
