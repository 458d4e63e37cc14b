"""What is fetched before it is asked for: half a window at a time, within its bounds."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relate_mailstore.read_ahead import AHEAD_MESSAGES, AHEAD_OCTETS, Ahead, prefetch
from relate_mailstore.types import Entry, MessageId


def entries(*sizes: int) -> list[Entry]:
    return [Entry(uid, MessageId(UUID(int=uid)), size, 0, (), 0, 1, 0) for uid, size in enumerate(sizes, 1)]


def test_half_a_window_is_fetched_while_the_other_half_is_read() -> None:
    mailbox, ahead = entries(*[100] * 150), Ahead()
    asked = {number: wanted for number in range(1, 151) if (wanted := ahead.after(mailbox, number))}
    assert asked == {1: range(2, 66), 33: range(66, 98), 65: range(98, 130), 97: range(130, 151)}
    assert AHEAD_MESSAGES == 64


def test_the_window_is_bounded_in_octets() -> None:
    mailbox, ahead = entries(*[AHEAD_OCTETS // 4] * 10), Ahead()
    asked = [ahead.after(mailbox, number) for number in range(1, 6)]
    assert asked == [range(2, 6), range(0), range(6, 8), range(0), range(8, 10)]


def test_a_message_larger_than_the_window_is_not_fetched_and_those_behind_it_are() -> None:
    mailbox, ahead = entries(10, AHEAD_OCTETS + 1, 10, 10), Ahead()
    assert [[*ahead.after(mailbox, number)] for number in range(1, 5)] == [[], [3, 4], [], []]


def test_who_goes_elsewhere_begins_anew() -> None:
    mailbox, ahead = entries(*[100] * 300), Ahead()
    assert ahead.after(mailbox, 1) == range(2, 66)
    assert ahead.after(mailbox, 200) == range(201, 265)
    assert ahead.after(mailbox, 3) == range(4, 68)
    assert ahead.after(mailbox, 300) == range(301, 301)


@pytest.mark.parametrize("every", [2, 3, 10])
def test_a_mailbox_that_shrinks_while_it_is_read_is_prefetched_once_and_whole(every: int) -> None:
    mailbox, ahead = entries(*[100] * 300), Ahead()
    fetched: list[int] = []
    for uid in range(1, 301):
        number = next(number for number, entry in enumerate(mailbox, 1) if entry.uid == uid)
        fetched += [mailbox[place - 1].uid for place in ahead.after(mailbox, number)]
        if uid % every == 0:
            mailbox = [entry for entry in mailbox if entry.uid != uid - 1]
    assert fetched == list(range(2, 301))


@given(
    st.lists(st.tuples(st.integers(1, 90), st.sets(st.integers(1, 90), max_size=60), st.integers(0, 9)), max_size=20)
)
def test_what_is_prefetched_is_there_and_comes_after_whatever_happens_to_the_mailbox(
    steps: list[tuple[int, set[int], int]],
) -> None:
    mailbox, ahead, uid = entries(*[AHEAD_OCTETS // 20] * 90), Ahead(), 90
    for place, expunged, arrived in steps:
        mailbox = [entry for number, entry in enumerate(mailbox, 1) if number not in expunged or len(mailbox) < 9]
        mailbox += [entry._replace(uid=uid + more) for more, entry in enumerate(mailbox[:arrived], 1)]
        uid += arrived
        last = min(place, len(mailbox))
        wanted = ahead.after(mailbox, last)
        assert all(last < number <= len(mailbox) for number in wanted)


class Confused:
    @prefetch
    def upcoming(self, places: Sequence[int]) -> Sequence[int]:
        """Raises IndexError."""
        return [places[-1], places[1]]


def test_a_prefetch_that_fails_is_logged_and_prefetches_nothing() -> None:
    with capture_logs() as logs:
        assert Confused().upcoming([7]) == ()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("prefetch.failed", "debug")]
    assert Confused().upcoming([7, 8]) == [8, 8]
