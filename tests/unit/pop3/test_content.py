"""What RETR and TOP send, and how much of a message they read for it."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.memory import MemoryRawMessage
from relate_pop3 import content
from relate_pop3.content import MAX_HEADER, TOP_BLOCK, Chunks
from relate_wire.dots import DotDecoder

HEADER = b"From: ann@example.org\r\nSubject: a\r\n\r\n"


class Pieces(MemoryRawMessage):
    """A message that comes in chunks of so many octets."""

    piece = 3

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        for offset in range(0, self.size, self.piece):
            yield self.raw[offset : offset + self.piece]


class Counted(MemoryRawMessage):
    """A message that knows how far it was read."""

    furthest = 0

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        Counted.furthest = max(Counted.furthest, self.size if stop is None else stop)
        return await super().read(start, stop)


async def joined(chunks: Chunks) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def received(sent: bytes) -> bytes:
    """What a client makes of a multi-line response, which must be all of `sent`."""
    decoder = DotDecoder(len(sent))
    assert decoder.feed(sent) == len(sent)
    assert decoder.done
    return decoder.content()


def expected_top(raw: bytes, lines: int) -> bytes:
    """RFC 1939 §7 in one expression: the header, the empty line, so many lines."""
    header, empty, body = raw.partition(b"\r\n\r\n")
    return header + empty + b"".join(body.splitlines(keepends=True)[:lines])


async def test_a_message_goes_out_byte_for_byte() -> None:
    raw = HEADER + b".one\r\n..\r\n.\r\ntwo\xff\x80\r\n"

    octets, chunks = await content.whole(MemoryRawMessage(raw, None), utf8=False)

    assert octets == len(raw)
    assert received(await joined(chunks)) == raw


async def test_a_last_line_without_crlf_gets_one_that_is_not_counted() -> None:
    octets, chunks = await content.whole(MemoryRawMessage(HEADER + b"end", None), utf8=False)

    assert octets == len(HEADER) + 3
    assert await joined(chunks) == HEADER + b"end\r\n.\r\n"


async def test_an_empty_message_is_a_dot() -> None:
    octets, chunks = await content.whole(MemoryRawMessage(b"", None), utf8=False)

    assert octets == 0
    assert await joined(chunks) == b".\r\n"


# Lines of what is special: dots, line ends, empty lines; no bare CR or LF, of which a client may think as it likes.
bodies = st.lists(st.sampled_from([b".", b"..", b"", b"x", b".x", b"x.", b"\xc3\xbc"]), max_size=12).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@given(body=bodies, piece=st.integers(1, 9))
async def test_content_does_not_depend_on_how_it_is_cut(body: bytes, piece: int) -> None:
    raw = Pieces(HEADER + body, None)
    Pieces.piece = piece

    _, chunks = await content.whole(raw, utf8=False)

    assert received(await joined(chunks)) == raw.raw


@given(body=bodies, lines=st.integers(0, 14), block=st.integers(1, 9))
async def test_top_is_the_header_and_so_many_lines(body: bytes, lines: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "TOP_BLOCK", block)
        sent = await joined(await content.top(MemoryRawMessage(HEADER + body, None), False, lines))

    assert received(sent) == expected_top(HEADER + body, lines)


async def test_top_of_a_message_without_body_is_the_header() -> None:
    assert (
        await joined(await content.top(MemoryRawMessage(b"Subject: a\r\n", None), False, 5)) == b"Subject: a\r\n.\r\n"
    )


async def test_top_of_a_message_without_header_begins_with_the_empty_line() -> None:
    raw = MemoryRawMessage(b"\r\none\r\n\r\ntwo\r\n", None)

    assert await joined(await content.top(raw, False, 1)) == b"\r\none\r\n.\r\n"


async def test_top_reads_no_more_than_it_sends() -> None:
    Counted.furthest = 0
    raw = Counted(HEADER + b"a line of the body\r\n" * 100_000, None)

    assert (await joined(await content.top(raw, False, 10))).count(b"body") == 10
    assert Counted.furthest == TOP_BLOCK


async def test_a_header_without_end_is_not_held_in_memory() -> None:
    raw = MemoryRawMessage(b"X-Long: " + b"x" * (3 * MAX_HEADER), None)

    header, body = await content.read_header(raw.chunks())

    assert len(header) <= MAX_HEADER + 65_536
    assert body == b""


async def test_a_header_without_end_is_sent_all_the_same() -> None:
    raw = MemoryRawMessage(b"X-Long: " + b"x" * (3 * MAX_HEADER), None)

    octets, chunks = await content.whole(raw, utf8=False)

    assert octets == raw.size
    assert received(await joined(chunks)) == raw.raw + b"\r\n"
