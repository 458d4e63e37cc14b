"""Read-ahead: half a window at a time, bounded in messages and octets."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relate_mailstore.read_ahead import AHEAD_MESSAGES, AHEAD_OCTETS, ReadAhead, prefetch
from relate_mailstore.types import Entry, EntryList, MessageId, ModSeq, Uid


def entries(*sizes: int) -> list[Entry]:
    return [
        Entry(Uid(uid), MessageId(UUID(int=uid)), size, 0, (), 0, ModSeq(1), 0) for uid, size in enumerate(sizes, 1)
    ]


def test_half_a_window_is_prefetched_while_the_other_half_is_read() -> None:
    mailbox, ahead = entries(*[100] * 150), ReadAhead()
    prefetched = {number: wanted for number in range(1, 151) if (wanted := ahead.after(EntryList(mailbox), number))}
    assert prefetched == {1: range(2, 66), 33: range(66, 98), 65: range(98, 130), 97: range(130, 151)}
    assert AHEAD_MESSAGES == 64


def test_the_window_is_bounded_in_octets() -> None:
    mailbox, ahead = entries(*[AHEAD_OCTETS // 4] * 10), ReadAhead()
    prefetched = [ahead.after(EntryList(mailbox), number) for number in range(1, 6)]
    assert prefetched == [range(2, 6), range(0), range(6, 8), range(0), range(8, 10)]


def test_message_larger_than_the_window_is_skipped() -> None:
    mailbox, ahead = entries(10, AHEAD_OCTETS + 1, 10, 10), ReadAhead()
    assert [[*ahead.after(EntryList(mailbox), number)] for number in range(1, 5)] == [[], [3, 4], [], []]


def test_jump_to_another_message_starts_a_new_window() -> None:
    mailbox, ahead = entries(*[100] * 300), ReadAhead()
    assert ahead.after(EntryList(mailbox), 1) == range(2, 66)
    assert ahead.after(EntryList(mailbox), 200) == range(201, 265)
    assert ahead.after(EntryList(mailbox), 3) == range(4, 68)
    assert ahead.after(EntryList(mailbox), 300) == range(301, 301)


@pytest.mark.parametrize("every", [2, 3, 10])
def test_shrinking_mailbox_is_prefetched_completely_and_once(every: int) -> None:
    mailbox, ahead = entries(*[100] * 300), ReadAhead()
    fetched: list[int] = []
    for uid in range(1, 301):
        number = next(number for number, entry in enumerate(mailbox, 1) if entry.uid == uid)
        fetched += [mailbox[position - 1].uid for position in ahead.after(EntryList(mailbox), number)]
        if uid % every == 0:
            mailbox = [entry for entry in mailbox if entry.uid != uid - 1]
    assert fetched == list(range(2, 301))


@given(
    st.lists(st.tuples(st.integers(1, 90), st.sets(st.integers(1, 90), max_size=60), st.integers(0, 9)), max_size=20)
)
def test_prefetched_messages_exist_and_follow_the_one_that_is_read(
    steps: list[tuple[int, set[int], int]],
) -> None:
    mailbox, ahead, uid = entries(*[AHEAD_OCTETS // 20] * 90), ReadAhead(), 90
    for number_read, expunged, arrived in steps:
        mailbox = [entry for number, entry in enumerate(mailbox, 1) if number not in expunged or len(mailbox) < 9]
        mailbox += [entry._replace(uid=Uid(uid + offset)) for offset, entry in enumerate(mailbox[:arrived], 1)]
        uid += arrived
        last = min(number_read, len(mailbox))
        assert all(last < number <= len(mailbox) for number in ahead.after(EntryList(mailbox), last))


class FailingReader:
    @prefetch
    def upcoming(self, numbers: Sequence[int]) -> Sequence[int]:
        """Raises IndexError for fewer than two numbers."""
        return [numbers[-1], numbers[1]]


def test_failing_prefetch_is_logged_and_prefetches_nothing() -> None:
    with capture_logs() as logs:
        assert FailingReader().upcoming([7]) == ()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("prefetch.failed", "debug")]
    assert FailingReader().upcoming([7, 8]) == [8, 8]
