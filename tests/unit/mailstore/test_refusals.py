"""Refusals are bounded: by client and hour, by the number of clients, and as a whole."""

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.refusals import HOUR_SECONDS, MAX_CLIENTS, MAX_ROWS_PER_HOUR, OTHERS, RefusalLimit

HOUR = 1_000 * HOUR_SECONDS
REFUSED = Event(EventName.REFUSED, client="192.0.2.1")


def test_a_million_refusals_of_a_client_are_a_hundred_rows_and_a_summary() -> None:
    limit = RefusalLimit(100)
    assert list(limit.turn(HOUR)) == []
    assert sum(limit.admit(REFUSED) for _ in range(1_000_000)) == 100
    assert limit.ends == HOUR + HOUR_SECONDS
    assert list(limit.turn(HOUR + 10)) == []
    (summary,) = limit.turn(HOUR + HOUR_SECONDS)
    assert (summary.client, summary.detail) == ("192.0.2.1", {"omitted": 999_900, "since": HOUR})
    assert limit.admit(REFUSED)
    assert limit.ends is None


def test_clients_beyond_a_number_are_counted_together() -> None:
    limit = RefusalLimit(1)
    limit.turn(HOUR)
    admitted = sum(limit.admit(REFUSED._replace(client=f"{number}")) for number in range(MAX_CLIENTS + 500))
    assert admitted == MAX_CLIENTS + 1
    (summary,) = limit.turn(HOUR + HOUR_SECONDS)
    assert (summary.client, summary.detail["omitted"]) == (OTHERS, 499)


def test_all_clients_together_are_bounded() -> None:
    limit = RefusalLimit(1_000)
    limit.turn(HOUR)
    refusals = (REFUSED._replace(client=f"{number % 100}") for number in range(MAX_ROWS_PER_HOUR + 1_000))
    assert sum(map(limit.admit, refusals)) == MAX_ROWS_PER_HOUR
    assert sum(int(summary.detail["omitted"] or 0) for summary in limit.turn(HOUR + HOUR_SECONDS)) == 1_000


def test_a_clock_that_is_set_back_begins_another_hour() -> None:
    limit = RefusalLimit(1)
    limit.turn(HOUR)
    assert [limit.admit(REFUSED), limit.admit(REFUSED)] == [True, False]
    assert len(limit.turn(HOUR - HOUR_SECONDS)) == 1
    assert limit.admit(REFUSED)


def test_a_refusal_that_could_not_be_stored_is_told_in_the_summary() -> None:
    limit = RefusalLimit(5)
    limit.turn(HOUR)
    limit.admit(REFUSED)
    limit.omit(REFUSED)
    (summary,) = limit.end(HOUR)
    assert summary.detail["omitted"] == 1
