"""What is fetched before it is asked for: half a window at a time, within its bounds."""

from uuid import UUID

from relate_mailstore.ahead import AHEAD_MESSAGES, AHEAD_OCTETS, Ahead
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
