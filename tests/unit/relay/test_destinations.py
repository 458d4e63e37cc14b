"""Connections of a process to a destination."""

import pytest

from relate_relay.queue.destinations import (
    FIRST_CONNECTIONS,
    MAX_CONNECTIONS,
    MAX_DESTINATIONS,
    SUSPENDING_FAILURES,
    Destinations,
)

DOMAIN = "there.test"


@pytest.fixture
def destinations() -> Destinations:
    return Destinations()


def suspend(destinations: Destinations, domain: str = DOMAIN) -> None:
    suspended = [destinations.failed(domain) for _ in range(SUSPENDING_FAILURES)]
    assert suspended == [False] * (SUSPENDING_FAILURES - 1) + [True]


def use_all_connections(destinations: Destinations, messages: int) -> int:
    """Reach the destination with so many messages over as many connections as are allowed; the number of those."""
    opened = 0
    for _ in range(messages):
        while destinations.free(DOMAIN) > 0:
            destinations.opened(DOMAIN)
            opened += 1
        destinations.reached(DOMAIN)
    return opened


def test_connections_double_in_each_round_of_messages(destinations: Destinations) -> None:
    assert use_all_connections(destinations, FIRST_CONNECTIONS) + destinations.free(DOMAIN) == 2 * FIRST_CONNECTIONS
    assert use_all_connections(destinations, 1000) + 2 * FIRST_CONNECTIONS - 1 == MAX_CONNECTIONS
    assert destinations.free(DOMAIN) == 0


def test_messages_that_come_one_by_one_allow_no_more_connections(destinations: Destinations) -> None:
    destinations.opened(DOMAIN)
    for _ in range(1000):
        destinations.reached(DOMAIN)
    assert destinations.free(DOMAIN) == FIRST_CONNECTIONS - 1


def test_open_connections_are_subtracted(destinations: Destinations) -> None:
    destinations.opened(DOMAIN)
    assert destinations.free(DOMAIN) == FIRST_CONNECTIONS - 1
    destinations.opened(DOMAIN)
    destinations.opened(DOMAIN)
    assert destinations.free(DOMAIN) == -1
    destinations.closed(DOMAIN)
    destinations.closed(DOMAIN)
    assert destinations.free(DOMAIN) == 1


def test_a_failure_halves_the_connections(destinations: Destinations) -> None:
    use_all_connections(destinations, 1000)
    destinations.failed(DOMAIN)
    assert destinations.free(DOMAIN) == MAX_CONNECTIONS // 2 - MAX_CONNECTIONS  # too many are open
    destinations.reached(DOMAIN)
    destinations.failed(DOMAIN)
    assert destinations.free(DOMAIN) == (MAX_CONNECTIONS // 2 + 1) // 2 - MAX_CONNECTIONS


def test_what_reaches_a_destination_ends_the_row_of_failures(destinations: Destinations) -> None:
    suspend(destinations)
    assert destinations.failed(DOMAIN)  # a probe
    destinations.reached(DOMAIN)
    assert not destinations.failed(DOMAIN)


def test_relays_share_the_limit(destinations: Destinations) -> None:
    use_all_connections(destinations, 1000)
    destinations.runners = 3
    assert destinations.free(DOMAIN) == MAX_CONNECTIONS // 3 - MAX_CONNECTIONS  # too many are open
    destinations.runners = 2 * MAX_CONNECTIONS
    assert destinations.free("elsewhere.test") == 1


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


def test_the_administrators_limit_holds_from_the_start() -> None:
    assert Destinations(max_connections=1).free(DOMAIN) == 1
