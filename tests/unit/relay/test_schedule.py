"""When a message is tried again."""

from itertools import pairwise
from random import Random

import pytest

from relate_relay.queue.schedule import JITTER_SHARE, MAX_AGE_SECONDS, NOTICE_SECONDS, Schedule, parse_retry

ARRIVED = 1_000_000.0


def run(schedule: Schedule, seed: int = 0) -> list[float]:
    """The times of all attempts of a message that no server takes, since its arrival."""
    random, now, times = Random(seed), ARRIVED, [0.0]
    while (due := schedule.next_attempt(ARRIVED, len(times), now, random)) is not None:
        now = due
        times.append(now - ARRIVED)
    return times


@pytest.mark.parametrize("seed", range(5))
def test_the_documented_schedule(seed: int) -> None:
    times = run(Schedule(), seed)
    delays = [later - earlier for earlier, later in pairwise(times)]
    assert 240 <= delays[0] <= 300  # the first retry passes a greylist
    for delay, expected in zip(delays[:7], [240, 480, 960, 1920, 3840, 7680, 14_400], strict=True):
        assert expected <= delay <= expected * (1 + JITTER_SHARE)
    assert all(14_400 <= delay <= 14_400 * (1 + JITTER_SHARE) for delay in delays[7:-1])
    assert times[-1] == MAX_AGE_SECONDS  # the last attempt is at the end


def test_messages_of_one_failure_return_at_different_times() -> None:
    random = Random(0)
    times = {Schedule().next_attempt(ARRIVED, 1, ARRIVED, random) for _ in range(100)}
    assert len(times) == 100


def test_a_short_schedule_repeats_its_last_delay() -> None:
    times = run(Schedule(parse_retry("0.5, 2"), max_age_seconds=10))
    assert len(times) in {6, 7}
    assert times[-1] == 10


@pytest.mark.parametrize("now", [ARRIVED + MAX_AGE_SECONDS, ARRIVED + 2 * MAX_AGE_SECONDS])
def test_an_old_message_is_given_up(now: float) -> None:
    assert Schedule().next_attempt(ARRIVED, 1, now, Random(0)) is None


def test_a_clock_that_was_set_back_keeps_the_message() -> None:
    due = Schedule().next_attempt(ARRIVED, 3, ARRIVED - 86_400, Random(0))
    assert due is not None
    assert due <= ARRIVED - 86_400 + 960 * (1 + JITTER_SHARE)


@pytest.mark.parametrize(("age", "due"), [(NOTICE_SECONDS - 1, False), (NOTICE_SECONDS, True), (MAX_AGE_SECONDS, True)])
def test_the_sender_is_told_of_the_delay_after_some_hours(age: float, due: bool) -> None:
    assert Schedule().is_notice_due(ARRIVED, ARRIVED + age) is due


@pytest.mark.parametrize("text", ["", "a", "1,,2", "0", "-1", "nan", "inf", "1,1e999"])
def test_a_malformed_list_names_the_entry(text: str) -> None:
    with pytest.raises(ValueError, match="seconds"):
        parse_retry(text)
