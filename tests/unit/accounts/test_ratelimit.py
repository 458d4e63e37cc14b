import pytest

from relate_accounts.ratelimit import PER_CLIENT, PER_NAME, TABLE_SIZE, Limit, TokenBuckets, WrongLogins, client_network
from tests.unit.accounts.clocks import HandClock


def test_a_bucket_gives_its_burst_and_then_one_token_at_a_time(clock: HandClock) -> None:
    buckets = TokenBuckets(Limit(burst=3, seconds=10), clock)
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


def test_a_bucket_never_holds_more_than_its_burst(clock: HandClock) -> None:
    buckets = TokenBuckets(Limit(burst=2, seconds=10), clock)
    buckets.spend("a")
    clock.advance(1_000_000)
    buckets.spend("a")
    buckets.spend("a")
    assert buckets.is_empty("a")


def test_spending_what_is_not_there_makes_no_debt(clock: HandClock) -> None:
    buckets = TokenBuckets(Limit(burst=1, seconds=10), clock)
    for _ in range(100):
        buckets.spend("a")
    clock.advance(10.1)
    assert not buckets.is_empty("a")


def test_the_table_of_buckets_is_bounded_and_forgets_the_longest_unused(clock: HandClock) -> None:
    buckets = TokenBuckets(Limit(burst=1, seconds=10), clock)
    for number in range(TABLE_SIZE + 100):
        buckets.spend(str(number))
    assert len(buckets) == TABLE_SIZE
    assert not buckets.is_empty("0")
    assert buckets.is_empty(str(TABLE_SIZE + 99))


def test_one_client_alone_can_never_lock_a_name(clock: HandClock) -> None:
    wrong = WrongLogins(clock)
    for _ in range(10_000):
        if not wrong.limited("192.0.2.1", "alice@example.org"):
            wrong.spend("192.0.2.1", "alice@example.org")
        assert not wrong.limited("198.51.100.7", "alice@example.org")
        clock.advance(0.1)
    assert PER_CLIENT.burst < PER_NAME.burst
    assert PER_CLIENT.seconds > PER_NAME.seconds


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_is_limited_by_name_alone(client: str, clock: HandClock) -> None:
    wrong = WrongLogins(clock)
    for _ in range(PER_NAME.burst):
        wrong.spend(client, "alice@example.org")
    assert wrong.limited(client, "alice@example.org")
    assert not wrong.limited(client, "bob@example.org")
    assert not wrong.limited(client, None)


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::5", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(client: str, network: str) -> None:
    assert client_network(client) == network
