"""Parts the content of a message into blocks, so that the last one is known when it is sent."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import NamedTuple

BLOCK_OCTETS = 64 * 1024
"""The size at which a block is complete; and the largest chunk that is passed on in one piece."""


class Block(NamedTuple):
    """Chunks that are sent together, and their octets in total. Only the last block may be empty."""

    chunks: list[bytes]
    octets: int
    is_last: bool


async def blocks(content: AsyncIterable[bytes]) -> AsyncGenerator[Block, None]:
    """Gather small chunks and divide large ones. A block has less than 2 · BLOCK_OCTETS."""
    chunks: list[bytes] = []
    octets = 0
    async for chunk in content:
        for piece in divide(chunk):
            if octets >= BLOCK_OCTETS:
                yield Block(chunks, octets, is_last=False)
                chunks, octets = [], 0
            chunks.append(piece)
            octets += len(piece)
    yield Block(chunks, octets, is_last=True)


def divide(chunk: bytes) -> list[bytes]:
    """Divide a chunk into pieces of at most BLOCK_OCTETS, none of which is empty."""
    if 0 < len(chunk) <= BLOCK_OCTETS:
        return [chunk]
    return [chunk[start : start + BLOCK_OCTETS] for start in range(0, len(chunk), BLOCK_OCTETS)]
