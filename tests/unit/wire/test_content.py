"""The content budget: which contents are dropped, and that released octets are no longer counted."""

from random import Random

import pytest

from relate_wire.content_budget import FREED_NOTICE_OCTETS, MEBIBYTE_OCTETS, SMALL_OCTETS, ContentBudget, HeldContent

LIMIT_OCTETS = 64 * MEBIBYTE_OCTETS
LARGE_OCTETS = 8 * MEBIBYTE_OCTETS
PIECE = bytes(MEBIBYTE_OCTETS // 4)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> ContentBudget:
    return ContentBudget(LIMIT_OCTETS, clock)


def hold(budget: ContentBudget, octets: int, address: str = "192.0.2.1") -> HeldContent:
    content = budget.hold(address)
    fill(content, octets)
    return content


def fill(content: HeldContent, octets: int) -> None:
    for start in range(0, octets, len(PIECE)):
        content.write(PIECE[: octets - start])


def addresses(count: int) -> list[str]:
    return [f"192.0.2.{number}" for number in range(count)]


def test_content_is_the_written_octets_in_pieces(budget: ContentBudget) -> None:
    content = budget.hold("")
    for octets in (b"one", b" piece"):
        content.write(octets)
    assert content.take_one() == b"one piece"
    content.release()
    for octets in (b"two", b"", b"pieces"):
        content.write(octets)
        content.end_piece()
    assert content.take() == (b"two", b"", b"pieces")


def test_octets_are_counted_until_they_are_released(budget: ContentBudget) -> None:
    content = hold(budget, LARGE_OCTETS)
    assert budget.used == content.octets == LARGE_OCTETS
    content.take_one()
    assert budget.used == LARGE_OCTETS
    content.release()
    content.release()
    assert budget.used == content.octets == 0


def test_the_content_with_most_octets_times_seconds_is_dropped(budget: ContentBudget, clock: Clock) -> None:
    slow = [
        hold(budget, LARGE_OCTETS * (2 if number == 3 else 1), address) for number, address in enumerate(addresses(5))
    ]
    clock.now = 60.0
    quick = hold(budget, LARGE_OCTETS + MEBIBYTE_OCTETS, "192.0.2.99")
    assert [content.dropped for content in slow] == [False, False, False, True, False]
    assert not quick.dropped
    assert budget.used <= LIMIT_OCTETS


def test_sealed_content_is_never_dropped(budget: ContentBudget, clock: Clock) -> None:
    storing = hold(budget, 4 * LARGE_OCTETS, "192.0.2.1")
    octets = storing.take_one()
    clock.now = 60.0
    others = [hold(budget, 3 * LARGE_OCTETS, address) for address in addresses(8)[2:]]
    assert not storing.dropped
    assert len(octets) == 4 * LARGE_OCTETS
    assert all(other.dropped for other in others[:-1])
    assert budget.used <= LIMIT_OCTETS


def test_dropped_content_discards_octets_until_released(budget: ContentBudget) -> None:
    content = hold(budget, LARGE_OCTETS)
    content.drop()
    content.write(b"more")
    assert (content.dropped, content.octets, len(content), budget.used) == (True, 0, 0, 0)
    content.release()
    content.write(b"another")
    assert (content.dropped, content.take_one()) == (False, b"another")


@pytest.mark.parametrize("count", [40, 1_000])
def test_small_content_is_accepted_besides_any_large_content(budget: ContentBudget, count: int) -> None:
    large = [hold(budget, 7 * MEBIBYTE_OCTETS, address) for address in addresses(50)]
    small = [hold(budget, 2_048, f"198.51.100.{number % 250}") for number in range(count)]
    assert not any(content.dropped for content in small)
    assert sum(content.octets for content in large) <= budget.largest
    assert budget.used <= LIMIT_OCTETS


def test_small_content_beyond_the_reserve_displaces_large_content(budget: ContentBudget) -> None:
    large = [hold(budget, 7 * MEBIBYTE_OCTETS, address) for address in addresses(8)]
    small = [hold(budget, SMALL_OCTETS, f"198.51.100.{number}") for number in range(40)]
    assert not any(content.dropped for content in small)
    assert sum(content.dropped for content in large) >= 4
    assert budget.used <= LIMIT_OCTETS


def test_the_oldest_small_content_is_dropped_without_large_content(budget: ContentBudget) -> None:
    small = [hold(budget, SMALL_OCTETS, f"198.51.100.{number}") for number in range(70)]
    assert [content.dropped for content in small] == [True] * 6 + [False] * 64


def test_a_client_holds_at_most_a_quarter(budget: ContentBudget, clock: Clock) -> None:
    contents = []
    for number in range(20):
        clock.now = float(number)
        contents.append(hold(budget, 3 * MEBIBYTE_OCTETS))
        assert budget.used <= LIMIT_OCTETS // 4
    assert not contents[-1].dropped
    other = hold(budget, 3 * MEBIBYTE_OCTETS, "192.0.2.2")
    assert not other.dropped
    many = [hold(budget, SMALL_OCTETS, "192.0.2.3") for _ in range(100)]
    assert sum(content.octets for content in many) <= LIMIT_OCTETS // 4


def test_the_only_message_of_a_client_may_exceed_a_quarter(budget: ContentBudget) -> None:
    alone = hold(budget, budget.largest)
    small = hold(budget, 2_048)
    assert not alone.dropped
    assert not small.dropped
    assert hold(ContentBudget(LIMIT_OCTETS), ContentBudget(LIMIT_OCTETS).largest + 1).dropped


def test_an_ipv6_64_is_one_client(budget: ContentBudget) -> None:
    held = [hold(budget, 3 * MEBIBYTE_OCTETS, f"2001:db8::{number:x}") for number in range(20)]
    assert sum(content.octets for content in held) <= LIMIT_OCTETS // 4
    elsewhere = hold(budget, 3 * MEBIBYTE_OCTETS, "2001:db8:0:1::1")
    assert sum(content.octets for content in held) > LIMIT_OCTETS // 4 - 3 * MEBIBYTE_OCTETS
    assert not elsewhere.dropped


def test_release_leaves_no_counts_and_no_clients(budget: ContentBudget, clock: Clock) -> None:
    random = Random(7)
    contents = [budget.hold(f"192.0.2.{number % 9}") for number in range(60)]
    pieces = [bytes(size) for size in (1, 2_000, 70_000, MEBIBYTE_OCTETS)]
    for _ in range(1_500):
        clock.now += random.random()
        content = random.choice(contents)
        match random.randrange(12):
            case 0:
                content.release()
            case 1:
                content.end_piece()
                content.take()
            case _:
                content.write(random.choice(pieces))
        assert budget.used == sum(content.octets for content in contents) <= LIMIT_OCTETS
    for content in contents:
        content.release()
    assert budget.used == 0
    for group in (budget._small, budget._large):
        assert (group.all.octets, group.all.contents, group.all.receiving, group.by_client) == (0, 0, {}, {})


def test_on_freed_is_called_after_enough_octets() -> None:
    calls: list[int] = []
    observed = ContentBudget(LIMIT_OCTETS, on_freed=lambda: calls.append(observed.used))
    contents = [hold(observed, FREED_NOTICE_OCTETS // 4, address) for address in addresses(5)]
    for content in contents:
        content.release()
    assert calls == [FREED_NOTICE_OCTETS // 4]
