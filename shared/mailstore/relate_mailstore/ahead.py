"""Which messages are worth fetching before a client asks for them: it reads in order, mostly. Pure."""

from collections.abc import Sequence
from operator import attrgetter

from relate_mailstore.types import Entry

# Fetched ahead of what is being read: so many that queries are few and nobody waits for them, and no larger in all
# than a session may cost when nobody asks for them after all.
AHEAD_MESSAGES = 64
AHEAD_OCTETS = 256 * 1024

_size = attrgetter("size")


class Ahead:
    """One reader of a mailbox, whose messages are numbered from 1."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = 0  # the number of the last message that is fetched ahead

    def after(self, entries: Sequence[Entry], last: int) -> range:
        """The numbers to fetch while the client, who reads in order, is sent the messages up to `last`.

        None, while more than half of what was fetched ahead is still to be read.
        """
        known = self._until if last <= self._until <= last + AHEAD_MESSAGES else last
        if known - last > AHEAD_MESSAGES // 2:
            return range(0)
        octets = sum(map(_size, entries[last:known]))
        if octets > AHEAD_OCTETS // 2:
            return range(0)
        self._until = known
        for entry in entries[known : last + AHEAD_MESSAGES]:
            octets += entry.size
            if octets > AHEAD_OCTETS:
                break
            self._until += 1
        return range(known + 1, self._until + 1)
