"""Connections of a process to a destination."""

import pytest

from relate_relay.destinations import (
    FIRST_CONNECTIONS,
    MAX_CONNECTIONS,
    MAX_DESTINATIONS,
    PAUSES_SECONDS,
    SUSPENDING_FAILURES,
    Destinations,
)

DOMAIN = "there.test"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def destinations(clock: Clock) -> Destinations:
    return Destinations(clock)


def suspend(destinations: Destinations, domain: str = DOMAIN) -> None:
    suspended = [destinations.failed(domain) for _ in range(SUSPENDING_FAILURES)]
    assert suspended == [False] * (SUSPENDING_FAILURES - 1) + [True]


def test_connections_grow_by_one_for_each_round(destinations: Destinations) -> None:
    assert destinations.free(DOMAIN) == FIRST_CONNECTIONS
    allowed = []
    for _ in range(FIRST_CONNECTIONS + FIRST_CONNECTIONS + 1):
        destinations.reached(DOMAIN)
        allowed.append(destinations.free(DOMAIN))
    assert allowed == [2, 3, 3, 3, 4]
    for _ in range(1000):
        destinations.reached(DOMAIN)
    assert destinations.free(DOMAIN) == MAX_CONNECTIONS


def test_open_connections_are_subtracted(destinations: Destinations) -> None:
    destinations.opened(DOMAIN)
    assert destinations.free(DOMAIN) == FIRST_CONNECTIONS - 1
    destinations.opened(DOMAIN)
    destinations.opened(DOMAIN)
    assert destinations.free(DOMAIN) == 0
    destinations.closed(DOMAIN)
    destinations.closed(DOMAIN)
    assert destinations.free(DOMAIN) == 1


def test_a_failure_halves_the_connections(destinations: Destinations) -> None:
    for _ in range(1000):
        destinations.reached(DOMAIN)
    destinations.failed(DOMAIN)
    assert destinations.free(DOMAIN) == MAX_CONNECTIONS // 2
    destinations.reached(DOMAIN)
    destinations.failed(DOMAIN)
    assert destinations.free(DOMAIN) == MAX_CONNECTIONS // 4


def test_a_dead_destination_is_suspended_and_probed_once(destinations: Destinations, clock: Clock) -> None:
    suspend(destinations)
    for pause in (*PAUSES_SECONDS, PAUSES_SECONDS[-1]):
        assert destinations.suspended() == {DOMAIN: pause}
        clock.now += pause - 1
        assert destinations.free(DOMAIN) == 0
        clock.now += 1
        assert destinations.free(DOMAIN) == 1
        destinations.opened(DOMAIN)
        assert destinations.free(DOMAIN) == 0  # one probe at a time
        assert not destinations.failed(DOMAIN)  # it was suspended already
        destinations.closed(DOMAIN)


def test_failures_of_connections_from_before_do_not_lengthen_the_pause(destinations: Destinations) -> None:
    suspend(destinations)
    for _ in range(10):
        destinations.failed(DOMAIN)
    assert destinations.suspended() == {DOMAIN: PAUSES_SECONDS[0]}


def test_a_probe_that_is_answered_ends_the_suspension(destinations: Destinations, clock: Clock) -> None:
    suspend(destinations)
    clock.now += PAUSES_SECONDS[0]
    assert destinations.reached(DOMAIN)
    assert destinations.suspended() == {}
    assert destinations.free(DOMAIN) >= 1
    assert not destinations.reached(DOMAIN)


def test_one_destination_does_not_affect_another(destinations: Destinations) -> None:
    suspend(destinations)
    assert destinations.free("elsewhere.test") == FIRST_CONNECTIONS


def test_memory_is_bounded_and_keeps_destinations_with_connections(destinations: Destinations) -> None:
    destinations.opened("busy.test")
    for number in range(MAX_DESTINATIONS * 2):
        destinations.failed(f"d{number}.test")
    assert len(destinations._states) == MAX_DESTINATIONS
    destinations.closed("busy.test")
    assert destinations._states["busy.test"].open == 0


def test_the_administrators_limit_holds_from_the_start(clock: Clock) -> None:
    assert Destinations(clock, max_connections=1).free(DOMAIN) == 1
