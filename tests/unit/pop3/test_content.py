"""The octets that RETR and TOP send, and how much of a message they read."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.memory import MemoryRawMessage
from relate_pop3 import content
from relate_pop3.content import MAX_HEADER_OCTETS, TOP_BLOCK_OCTETS, Chunks
from relate_wire.dots import DotDecoder

HEADER = b"From: ann@example.org\r\nSubject: a\r\n\r\n"


class ChunkedMessage(MemoryRawMessage):
    """A message in chunks of `chunk_octets` octets."""

    chunk_octets = 3

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        for offset in range(0, self.size, self.chunk_octets):
            yield self.raw[offset : offset + self.chunk_octets]


class CountingMessage(MemoryRawMessage):
    """Records the highest offset that was read."""

    read_until = 0

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        CountingMessage.read_until = max(CountingMessage.read_until, self.size if stop is None else stop)
        return await super().read(start, stop)


async def join(chunks: Chunks) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def decode(sent: bytes) -> bytes:
    """Decode a multi-line response, which must be all of `sent`."""
    decoder = DotDecoder(len(sent))
    assert decoder.feed(sent) == len(sent)
    assert decoder.done
    return decoder.content()


def expected_top(raw: bytes, lines: int) -> bytes:
    """RFC 1939 §7 in one expression: the header, the empty line, the first `lines` lines."""
    header, empty, body = raw.partition(b"\r\n\r\n")
    return header + empty + b"".join(body.splitlines(keepends=True)[:lines])


async def test_message_is_sent_octet_for_octet() -> None:
    raw = HEADER + b".one\r\n..\r\n.\r\ntwo\xff\x80\r\n"

    octets, chunks = await content.encode_message(MemoryRawMessage(raw, None), utf8=False)

    assert octets == len(raw)
    assert decode(await join(chunks)) == raw


async def test_crlf_appended_to_the_last_line_is_not_counted() -> None:
    octets, chunks = await content.encode_message(MemoryRawMessage(HEADER + b"end", None), utf8=False)

    assert octets == len(HEADER) + 3
    assert await join(chunks) == HEADER + b"end\r\n.\r\n"


async def test_empty_message_is_a_dot() -> None:
    octets, chunks = await content.encode_message(MemoryRawMessage(b"", None), utf8=False)

    assert octets == 0
    assert await join(chunks) == b".\r\n"


# Lines that dot-stuffing may break. No bare CR or LF, which clients interpret differently.
bodies = st.lists(st.sampled_from([b".", b"..", b"", b"x", b".x", b"x.", b"\xc3\xbc"]), max_size=12).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@given(body=bodies, chunk_octets=st.integers(1, 9))
async def test_message_does_not_depend_on_chunk_boundaries(body: bytes, chunk_octets: int) -> None:
    raw = ChunkedMessage(HEADER + body, None)
    ChunkedMessage.chunk_octets = chunk_octets

    _, chunks = await content.encode_message(raw, utf8=False)

    assert decode(await join(chunks)) == raw.raw


@given(body=bodies, lines=st.integers(0, 14), block_octets=st.integers(1, 9))
async def test_top_sends_the_header_and_the_given_number_of_lines(body: bytes, lines: int, block_octets: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "TOP_BLOCK_OCTETS", block_octets)
        sent = await join(await content.encode_top(MemoryRawMessage(HEADER + body, None), False, lines))

    assert decode(sent) == expected_top(HEADER + body, lines)


async def test_top_of_a_message_without_body_is_its_header() -> None:
    assert (
        await join(await content.encode_top(MemoryRawMessage(b"Subject: a\r\n", None), False, 5))
        == b"Subject: a\r\n.\r\n"
    )


async def test_top_of_a_message_without_header_starts_with_the_empty_line() -> None:
    raw = MemoryRawMessage(b"\r\none\r\n\r\ntwo\r\n", None)

    assert await join(await content.encode_top(raw, False, 1)) == b"\r\none\r\n.\r\n"


async def test_top_reads_only_the_blocks_it_needs() -> None:
    CountingMessage.read_until = 0
    raw = CountingMessage(HEADER + b"a line of the body\r\n" * 100_000, None)

    assert (await join(await content.encode_top(raw, False, 10))).count(b"body") == 10
    assert CountingMessage.read_until == TOP_BLOCK_OCTETS


async def test_unterminated_header_is_read_up_to_the_limit() -> None:
    raw = MemoryRawMessage(b"X-Long: " + b"x" * (3 * MAX_HEADER_OCTETS), None)

    header, body = await content.read_header(raw.chunks())

    assert len(header) <= MAX_HEADER_OCTETS + 65_536
    assert body == b""


async def test_unterminated_header_is_sent() -> None:
    raw = MemoryRawMessage(b"X-Long: " + b"x" * (3 * MAX_HEADER_OCTETS), None)

    octets, chunks = await content.encode_message(raw, utf8=False)

    assert octets == raw.size
    assert decode(await join(chunks)) == raw.raw + b"\r\n"
