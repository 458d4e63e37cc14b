"""Content that was received and is not stored yet: one budget of memory for all connections of a process.

`HeldContent` keeps the octets of one connection, `ContentBudget` counts those of all. Where the budget would be
exceeded, the content that costs most is dropped: its connection goes on, and its client is told at the content's end
to try again later. Pure.
"""

import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Self

from relate_wire.limits import client_of

MEBIBYTE = 1024 * 1024

CONTENT_OCTETS = 128 * MEBIBYTE
"""The budget of a process, unless it is configured: two messages of the largest size and many usual ones."""

SMALL_OCTETS = MEBIBYTE
"""Content up to this size is small: most mail is."""

RESERVE_OCTETS = 16 * MEBIBYTE
"""The part of the budget that only small content uses, so that a few large messages keep nobody's mail away."""

RESERVE_DIVISOR = 8
"""The reserve is at most this fraction of the budget (one eighth)."""

CLIENT_DIVISOR = 4
"""One client holds at most this fraction of the budget (a quarter) in large content, and the same in small content."""

FREED_NOTICE_OCTETS = 16 * MEBIBYTE
"""After so many octets were freed the process is told."""

Clock = Callable[[], float]


class Pool:
    """Contents that are limited together. `receiving` are those that may be dropped, the oldest first."""

    __slots__ = ("contents", "octets", "receiving")

    def __init__(self) -> None:
        self.octets = 0
        self.contents = 0
        self.receiving: dict[HeldContent, None] = {}


class Group:
    """Large contents, or small ones: all of them, and those of each client."""

    def __init__(self) -> None:
        self.all = Pool()
        self.by_client: dict[str, Pool] = {}

    def pools(self, client: str) -> tuple[Pool, Pool]:
        """The two pools that a client's content belongs to."""
        return self.all, self.by_client.setdefault(client, Pool())

    def add(self, content: "HeldContent") -> None:
        """Count a content with the octets that it has."""
        for pool in self.pools(content.client):
            pool.octets += content.octets
            pool.contents += 1
            pool.receiving[content] = None

    def grow(self, content: "HeldContent", octets: int) -> None:
        """Count more octets of a content."""
        for pool in self.pools(content.client):
            pool.octets += octets
            pool.receiving[content] = None

    def remove(self, content: "HeldContent", octets: int) -> None:
        """Count a content, with so many octets, no longer."""
        for pool in self.pools(content.client):
            pool.octets -= octets
            pool.contents -= 1
            pool.receiving.pop(content, None)
        if not self.by_client[content.client].contents:
            del self.by_client[content.client]


class ContentBudget:
    """The memory of a process for content. `limit` is in octets, `clock` in seconds. `on_freed` is called whenever
    FREED_OCTETS were freed, so that the process can give memory back.

    At most `limit` octets are held: large content leaves the reserve to small content, and small content may use all.
    """

    def __init__(
        self, limit: int = CONTENT_OCTETS, clock: Clock = time.monotonic, on_freed: Callable[[], None] | None = None
    ) -> None:
        self.limit = limit
        self.largest = limit - min(RESERVE_OCTETS, limit // RESERVE_DIVISOR)
        """Octets of the largest content that can be held."""
        self._client_limit = limit // CLIENT_DIVISOR
        self._clock = clock
        self._on_freed = on_freed
        self._freed = 0
        self._small = Group()
        self._large = Group()

    @classmethod
    def unlimited(cls) -> Self:
        """A budget that drops nothing: for content that nobody else competes with."""
        return cls(sys.maxsize)

    @property
    def used(self) -> int:
        """Octets that are held."""
        return self._small.all.octets + self._large.all.octets

    def hold(self, address: str) -> "HeldContent":
        """The content of a connection from this address."""
        return HeldContent(self, client_of(address), self._clock)

    def grow(self, content: "HeldContent", octets: int) -> None:
        """Count more octets of a content, and drop what is too much then: it may be this one."""
        before = self._group_of(content) if content.octets else None
        content.octets += octets
        group = self._group_of(content)
        if group is before:
            group.grow(content, octets)
        else:
            if before is not None:
                before.remove(content, content.octets - octets)
            group.add(content)
        self._keep_client_limit(group.by_client[content.client])
        self._keep_limit()

    def seal(self, content: "HeldContent") -> None:
        """A content is whole and on its way to the store: it is counted on, and no longer dropped."""
        if content.octets:
            for pool in self._group_of(content).pools(content.client):
                pool.receiving.pop(content, None)

    def forget(self, content: "HeldContent") -> None:
        """Count a content no longer. May be repeated."""
        if content.octets:
            self._group_of(content).remove(content, content.octets)
            self._freed += content.octets
            content.octets = 0
            if self._freed >= FREED_NOTICE_OCTETS and self._on_freed is not None:
                self._freed = 0
                self._on_freed()

    def _group_of(self, content: "HeldContent") -> Group:
        return self._large if content.octets > SMALL_OCTETS else self._small

    def _keep_client_limit(self, pool: Pool) -> None:
        """One message alone may be larger than a client's share: else the largest could never be delivered."""
        while pool.octets > self._client_limit and pool.contents > 1 and pool.receiving:
            self._costliest(pool).drop()

    def _keep_limit(self) -> None:
        small, large = self._small.all, self._large.all
        while large.receiving and (large.octets > self.largest or self.used > self.limit):
            self._costliest(large).drop()
        while small.receiving and self.used > self.limit:
            self._costliest(small).drop()

    def _costliest(self, pool: Pool) -> "HeldContent":
        """The largest and slowest: by octets times seconds. Of small content, of which there may be thousands, the
        oldest.
        """
        first = next(iter(pool.receiving))
        if first.octets <= SMALL_OCTETS:
            return first
        now = self._clock()
        return max(pool.receiving, key=lambda content: content.octets * (now - content.began))


class HeldContent:
    """The content of one connection, in one piece or several. `began` is when its first octet came."""

    __slots__ = ("__weakref__", "_budget", "_buffer", "_clock", "_pieces", "began", "client", "dropped", "octets")

    def __init__(self, budget: ContentBudget, client: str, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._buffer = BytesIO()
        self._pieces: list[bytes] = []
        self.client = client
        self.began = 0.0
        self.octets = 0
        """Octets that are counted in the budget."""
        self.dropped = False
        """The budget had no room: the octets are gone, and further ones are not kept, until `release`."""

    def __len__(self) -> int:
        """Octets that are kept here, and not handed over."""
        return sum(map(len, self._pieces)) + self._buffer.tell()

    def write(self, octets: bytes) -> None:
        """Keep octets of the piece at hand, unless the content was dropped."""
        if self.dropped or not octets:
            return
        if not self.octets:
            self.began = self._clock()
        self._buffer.write(octets)
        self._budget.grow(self, len(octets))

    def end_piece(self) -> None:
        """What is written next begins another piece."""
        self._pieces.append(self._buffer.getvalue())
        self._buffer = BytesIO()

    def take(self) -> tuple[bytes, ...]:
        """Hand all pieces over, the one at hand not included. Their octets stay counted until `release`."""
        pieces, self._pieces = tuple(self._pieces), []
        self._budget.seal(self)
        return pieces

    def take_one(self) -> bytes:
        """Hand the only piece over, which is whole now. Its octets stay counted until `release`."""
        self.end_piece()
        return b"".join(self.take())

    def drop(self) -> None:
        """Free the octets for others."""
        self.release()
        self.dropped = True

    def release(self) -> None:
        """Free the octets, as they are stored or no longer wanted. May be repeated."""
        self._budget.forget(self)
        self.dropped = False
        if self._pieces or self._buffer.tell():
            self._pieces, self._buffer = [], BytesIO()
