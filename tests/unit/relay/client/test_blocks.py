"""The content in blocks of bounded size."""

from collections.abc import AsyncIterator

import pytest

from relate_relay.client.blocks import BLOCK_OCTETS, Block, blocks


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


async def parts(*content: bytes) -> list[Block]:
    return [block async for block in blocks(chunks(*content))]


async def test_small_chunks_are_one_block() -> None:
    assert await parts(b"a", b"", b"bc") == [Block([b"a", b"bc"], 3, True)]


@pytest.mark.parametrize("content", [(), (b"",)])
async def test_empty_content_is_one_empty_block(content: tuple[bytes, ...]) -> None:
    assert await parts(*content) == [Block([], 0, True)]


async def test_a_chunk_is_passed_on_without_a_copy() -> None:
    chunk = b"x" * BLOCK_OCTETS
    first, last = await parts(chunk, chunk)
    assert first.chunks[0] is chunk
    assert last.chunks[0] is chunk
    assert (first.is_last, last.is_last) == (False, True)


@pytest.mark.parametrize("size", [1, 1_000, BLOCK_OCTETS - 1, BLOCK_OCTETS, BLOCK_OCTETS + 1, 1_000_000])
async def test_blocks_are_bounded_and_complete(size: int) -> None:
    content = [bytes([number % 256]) * size for number in range(3_000_000 // max(size, 1_000))]
    found = await parts(*content)
    assert b"".join(chunk for block in found for chunk in block.chunks) == b"".join(content)
    assert all(block.octets == sum(map(len, block.chunks)) < 2 * BLOCK_OCTETS for block in found)
    assert all(block.octets >= BLOCK_OCTETS for block in found[:-1])
    assert [block.is_last for block in found] == [False] * (len(found) - 1) + [True]
