"""Memory budget for message content that is received and not yet stored, shared by all connections of a process.

`HeldContent` buffers the octets of one connection, `ContentBudget` counts those of all. If the budget is exceeded, the
costliest content is dropped: its connection stays open, and at the end of the content the client gets a temporary
error. Pure.
"""

import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Self

from relate_wire.limits import client_of

MEBIBYTE_OCTETS = 1024 * 1024

CONTENT_OCTETS = 128 * MEBIBYTE_OCTETS
"""The default budget of a process: room for two messages of the largest size and many common ones."""

SMALL_OCTETS = MEBIBYTE_OCTETS
"""Content up to this size is small; most mail is."""

RESERVE_OCTETS = 16 * MEBIBYTE_OCTETS
"""The part of the budget reserved for small content, so that a few large messages cannot block all other mail."""

RESERVE_SHARES = 8
"""The reserve is at most one eighth of the budget."""

CLIENT_SHARES = 4
"""One client holds at most a quarter of the budget in large content, and as much in small content."""

FREED_NOTICE_OCTETS = 16 * MEBIBYTE_OCTETS
"""`on_freed` is called each time this much was freed."""

Clock = Callable[[], float]


class Pool:
    """Contents under one limit. `receiving` are those that may be dropped, the oldest first."""

    __slots__ = ("contents", "octets", "receiving")

    def __init__(self) -> None:
        self.octets = 0
        self.contents = 0
        self.receiving: dict[HeldContent, None] = {}


class Group:
    """All large contents, or all small ones, with a pool per client."""

    def __init__(self) -> None:
        self.all = Pool()
        self.by_client: dict[str, Pool] = {}

    def pools(self, client: str) -> tuple[Pool, Pool]:
        """The two pools that a client's content belongs to."""
        return self.all, self.by_client.setdefault(client, Pool())

    def add(self, content: "HeldContent") -> None:
        """Add a content with its octets."""
        for pool in self.pools(content.client):
            pool.octets += content.octets
            pool.contents += 1
            pool.receiving[content] = None

    def grow(self, content: "HeldContent", octets: int) -> None:
        """Add octets of a content."""
        for pool in self.pools(content.client):
            pool.octets += octets
            pool.receiving[content] = None

    def remove(self, content: "HeldContent", octets: int) -> None:
        """Remove a content that was counted with `octets`."""
        for pool in self.pools(content.client):
            pool.octets -= octets
            pool.contents -= 1
            pool.receiving.pop(content, None)
        if not self.by_client[content.client].contents:
            del self.by_client[content.client]


class ContentBudget:
    """The memory of a process for content. `limit` is in octets, `clock` in seconds. `on_freed` is called each time
    FREED_NOTICE_OCTETS were freed, so that the process can return memory to the system.

    Holds at most `limit` octets. Small content may use the whole budget, large content all but the reserve.
    """

    def __init__(
        self, limit: int = CONTENT_OCTETS, clock: Clock = time.monotonic, on_freed: Callable[[], None] | None = None
    ) -> None:
        self.limit = limit
        self.largest = limit - min(RESERVE_OCTETS, limit // RESERVE_SHARES)
        """The size in octets of the largest content that fits."""
        self._client_limit = limit // CLIENT_SHARES
        self._clock = clock
        self._on_freed = on_freed
        self._freed = 0
        self._small = Group()
        self._large = Group()

    @classmethod
    def unlimited(cls) -> Self:
        """A budget that drops nothing, for content outside of a server."""
        return cls(sys.maxsize)

    @property
    def used(self) -> int:
        """Octets held now."""
        return self._small.all.octets + self._large.all.octets

    def hold(self, address: str) -> "HeldContent":
        """Create the content buffer of a connection from this address."""
        return HeldContent(self, client_of(address), self._clock)

    def grow(self, content: "HeldContent", octets: int) -> None:
        """Add octets of a content, then drop contents, perhaps this one, until the limits hold."""
        before = self._group_of(content) if content.octets else None
        content.octets += octets
        group = self._group_of(content)
        if group is before:
            group.grow(content, octets)
        else:
            if before is not None:
                before.remove(content, content.octets - octets)
            group.add(content)
        self._enforce_client_limit(group.by_client[content.client])
        self._enforce_limit()

    def seal(self, content: "HeldContent") -> None:
        """Protect a complete content from being dropped while it is stored; it stays counted."""
        if content.octets:
            for pool in self._group_of(content).pools(content.client):
                pool.receiving.pop(content, None)

    def remove(self, content: "HeldContent") -> None:
        """Remove a content. Idempotent."""
        if content.octets:
            self._group_of(content).remove(content, content.octets)
            self._freed += content.octets
            content.octets = 0
            if self._freed >= FREED_NOTICE_OCTETS and self._on_freed is not None:
                self._freed = 0
                self._on_freed()

    def _group_of(self, content: "HeldContent") -> Group:
        return self._large if content.octets > SMALL_OCTETS else self._small

    def _enforce_client_limit(self, pool: Pool) -> None:
        """A client's only message may exceed its share, because the largest messages must be deliverable."""
        while pool.octets > self._client_limit and pool.contents > 1 and pool.receiving:
            self._costliest(pool).drop()

    def _enforce_limit(self) -> None:
        small, large = self._small.all, self._large.all
        while large.receiving and (large.octets > self.largest or self.used > self.limit):
            self._costliest(large).drop()
        while small.receiving and self.used > self.limit:
            self._costliest(small).drop()

    def _costliest(self, pool: Pool) -> "HeldContent":
        """Return the content with the most octets times seconds; of small content, of which there may be thousands, the
        oldest.
        """
        first = next(iter(pool.receiving))
        if first.octets <= SMALL_OCTETS:
            return first
        now = self._clock()
        return max(pool.receiving, key=lambda content: content.octets * (now - content.began))


class HeldContent:
    """The content buffer of one connection, in one or more pieces. `began` is when the first octet arrived."""

    __slots__ = ("__weakref__", "_budget", "_buffer", "_clock", "_pieces", "began", "client", "dropped", "octets")

    def __init__(self, budget: ContentBudget, client: str, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._buffer = BytesIO()
        self._pieces: list[bytes] = []
        self.client = client
        self.began = 0.0
        self.octets = 0
        """Octets counted in the budget."""
        self.dropped = False
        """The budget dropped the content; further octets are discarded until `release`."""

    def __len__(self) -> int:
        """Octets buffered here, without those taken."""
        return sum(map(len, self._pieces)) + self._buffer.tell()

    def write(self, octets: bytes) -> None:
        """Append octets to the current piece, unless the content was dropped."""
        if self.dropped or not octets:
            return
        if not self.octets:
            self.began = self._clock()
        self._buffer.write(octets)
        self._budget.grow(self, len(octets))

    def end_piece(self) -> None:
        """End the current piece; the next octets begin another one."""
        self._pieces.append(self._buffer.getvalue())
        self._buffer = BytesIO()

    def take(self) -> tuple[bytes, ...]:
        """Return and remove all ended pieces. Their octets stay counted until `release`."""
        pieces, self._pieces = tuple(self._pieces), []
        self._budget.seal(self)
        return pieces

    def take_one(self) -> bytes:
        """End the only piece, then return and remove it. Its octets stay counted until `release`."""
        self.end_piece()
        return b"".join(self.take())

    def drop(self) -> None:
        """Free the octets because the budget is exceeded."""
        self.release()
        self.dropped = True

    def release(self) -> None:
        """Free the octets after they were stored or refused. Idempotent."""
        self._budget.remove(self)
        self.dropped = False
        if self._pieces or self._buffer.tell():
            self._pieces, self._buffer = [], BytesIO()
