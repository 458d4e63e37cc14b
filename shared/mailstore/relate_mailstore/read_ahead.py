"""Which messages to prefetch for a client that reads a mailbox in order.

The position is a UID, because message numbers change when others are expunged.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import accumulate
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from relate_mailstore.identifiers import NO_UID
from relate_mailstore.types import EntryList

# The window: enough messages that queries are few and the client never waits for one, and few enough octets that a
# session whose client then reads none of them costs little.
AHEAD_MESSAGES = 64
AHEAD_OCTETS = 256 * 1024

_log = structlog.get_logger(__name__)

Reader = TypeVar("Reader")
Item = TypeVar("Item")
P = ParamSpec("P")


def prefetch(
    choose: Callable[Concatenate[Reader, P], Sequence[Item]],
) -> Callable[Concatenate[Reader, P], Sequence[Item]]:
    """Decorate a method that chooses what to prefetch: log its exception and prefetch nothing.

    A prefetch is a hint, so it must never fail the command that it speeds up.
    """

    @wraps(choose)
    def hint(reader: Reader, /, *args: P.args, **options: P.kwargs) -> Sequence[Item]:
        try:
            return choose(reader, *args, **options)
        except Exception:  # noqa: BLE001 - the command succeeds without a prefetch, whatever the exception
            _log.debug("prefetch.failed", exc_info=True)
            return ()

    return hint


class ReadAhead:
    """The prefetch window of one client in a mailbox. Messages are numbered from 1."""

    __slots__ = ("_last_fetched_uid", "_quiet_uids")

    def __init__(self) -> None:
        self._last_fetched_uid = NO_UID
        # First and last: while the client reads these, over half of the window is unread.
        self._quiet_uids = NO_UID, NO_UID

    def after(self, entries: EntryList, last: int) -> range:
        """The message numbers to prefetch while the client is sent the messages up to number `last`.

        Empty while more than half of the window is unread.
        """
        first_quiet, last_quiet = self._quiet_uids
        if first_quiet <= entries.uid_at(last - 1) <= last_quiet:
            return range(0)
        fetched = entries.index_of(self._last_fetched_uid + 1)
        start = fetched if last <= fetched <= last + AHEAD_MESSAGES else last
        octets = [*accumulate(entries.column("size", last, last + AHEAD_MESSAGES))]  # up to each message of the window
        stop = max(start, last + bisect_right(octets, AHEAD_OCTETS))
        half = octets[stop - last - 1] - AHEAD_OCTETS // 2 if stop > last else 0
        quiet = max(stop - AHEAD_MESSAGES // 2 - 1, last + bisect_left(octets, half))
        self._last_fetched_uid = entries.uid_at(stop - 1)
        self._quiet_uids = entries.uid_at(last - 1), entries.uid_at(quiet - 1)
        return range(start + 1, stop + 1)
