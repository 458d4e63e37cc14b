"""A raw message in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

CHUNK_OCTETS = 65_536  # small, so that a message of some 100 kB in a test has several chunks


@dataclass(frozen=True, slots=True)
class MemoryRawMessage:
    """`RawMessage` over octets in memory."""

    raw: bytes
    origin: str | None

    @property
    def size(self) -> int:
        """Octets of the message."""
        return len(self.raw)

    @property
    def buffered(self) -> bytes | None:
        """All octets of a small message."""
        return self.raw if self.size <= CHUNK_OCTETS else None

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The octets [start, stop), at most CHUNK_OCTETS per chunk."""
        end = self.size if stop is None else min(stop, self.size)
        for offset in range(start, end, CHUNK_OCTETS):
            yield self.raw[offset : min(offset + CHUNK_OCTETS, end)]

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The octets [start, stop)."""
        return self.raw[start:stop]
