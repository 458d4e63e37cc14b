"""Which messages are worth fetching before a client asks for them: it reads in order, mostly. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import attrgetter

from relate_mailstore.types import Entry

# Fetched ahead of what is being read: so many that queries are few and nobody waits for them, and no larger in all
# than a session may cost when nobody asks for them after all.
AHEAD_MESSAGES = 64
AHEAD_OCTETS = 256 * 1024

_size = attrgetter("size")


class Ahead:
    """One reader of a mailbox, whose messages are numbered from 1."""

    __slots__ = ("_served", "_until")

    def __init__(self) -> None:
        self._until = 0  # the number of the last message that is fetched ahead
        self._served = range(0)  # while one of these is being read, more than half of that is still to come

    def after(self, entries: Sequence[Entry], last: int) -> range:
        """The numbers to fetch while the client, who reads in order, is sent the messages up to `last`.

        None, while more than half of what was fetched ahead is still to be read.
        """
        if last in self._served:
            return range(0)
        known = self._until if last <= self._until <= last + AHEAD_MESSAGES else last
        window = [*map(_size, entries[last : last + AHEAD_MESSAGES])]
        octets = [*accumulate(window)]  # up to each message of the window
        until = max(known, last + bisect_right(octets, AHEAD_OCTETS))
        self._until = until
        half = octets[until - last - 1] - AHEAD_OCTETS // 2 if until > last else 0
        self._served = range(last, max(until - AHEAD_MESSAGES // 2, last + bisect_left(octets, half) + 1))
        return range(known + 1, until + 1)
