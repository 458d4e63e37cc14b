"""Which messages to prefetch: clients mostly read in order.

Readers are followed by UID, as message numbers change when others are expunged.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import accumulate
from operator import attrgetter
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from relate_mailstore.types import Entry

# Prefetched beyond what is being read: enough messages that queries are few and no reader waits for one, and no more
# octets than a session may cost whose client then reads none of them.
AHEAD_MESSAGES = 64
AHEAD_OCTETS = 256 * 1024

_size, _uid = attrgetter("size"), attrgetter("uid")

_log = structlog.get_logger(__name__)

Reader = TypeVar("Reader")
Item = TypeVar("Item")
P = ParamSpec("P")


def prefetch(
    choose: Callable[Concatenate[Reader, P], Sequence[Item]],
) -> Callable[Concatenate[Reader, P], Sequence[Item]]:
    """Decorate a method that chooses what to prefetch: if it raises, the error is logged and nothing is prefetched.

    A prefetch is a hint, so it never fails the command that it was meant to speed up.
    """

    @wraps(choose)
    def hint(reader: Reader, /, *args: P.args, **options: P.kwargs) -> Sequence[Item]:
        try:
            return choose(reader, *args, **options)
        except Exception:  # noqa: BLE001 - whatever it is, the command can do without
            _log.debug("prefetch.failed", exc_info=True)
            return ()

    return hint


class Ahead:
    """The prefetch window of one reader of a mailbox, whose messages are numbered from 1."""

    __slots__ = ("_fetched", "_served")

    def __init__(self) -> None:
        self._fetched = 0  # the UID of the last message that was prefetched
        self._served = 0, 0  # while one of these UIDs is read, more than half of the window is still to be read

    def after(self, entries: Sequence[Entry], last: int) -> range:
        """The numbers to prefetch while the client, who reads in order, is sent the messages up to `last`.

        Empty while more than half of what was prefetched is still to be read.
        """
        first_served, last_served = self._served
        if first_served <= entries[last - 1].uid <= last_served:
            return range(0)
        fetched = bisect_right(entries, self._fetched, key=_uid)
        known = fetched if last <= fetched <= last + AHEAD_MESSAGES else last
        window = [*map(_size, entries[last : last + AHEAD_MESSAGES])]
        octets = [*accumulate(window)]  # up to each message of the window
        until = max(known, last + bisect_right(octets, AHEAD_OCTETS))
        half = octets[until - last - 1] - AHEAD_OCTETS // 2 if until > last else 0
        served = max(until - AHEAD_MESSAGES // 2 - 1, last + bisect_left(octets, half))
        self._fetched = entries[until - 1].uid
        self._served = entries[last - 1].uid, entries[served - 1].uid
        return range(known + 1, until + 1)
