"""LineBuffer and LineFramer return the same lines for every split of the input."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_wire.lines import Line, LineBuffer, LineFault, LineFramer, LineMode
from relate_wire.ports import Framer
from tests.support.examples import examples
from tests.support.feed import feed_every_way, frames

LIMIT_OCTETS = 20
LONG = b"x" * 100

quick = settings(max_examples=examples(100))


def lines(buffer: LineBuffer, piece: bytes) -> list[Line]:
    buffer.feed(piece)
    return list(iter(buffer.next_line, None))


def make() -> LineBuffer:
    return LineBuffer(LIMIT_OCTETS)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"NOOP\r\n", [Line(b"NOOP")]),
        (b"\r\n", [Line(b"")]),
        (b"a\r\nb\r\n\r\n", [Line(b"a"), Line(b"b"), Line(b"")]),
        (b"x" * 18 + b"\r\n", [Line(b"x" * 18)]),
        (b"x" * 19 + b"\r\n", [Line(b"", LineFault.TOO_LONG)]),
        (b"x" * 19 + b"\n", [Line(b"x" * 19, LineFault.BARE_LF)]),
        (b"x" * 20 + b"\n", [Line(b"", LineFault.TOO_LONG)]),
        (LONG + b"\r\nNOOP\r\n", [Line(b"", LineFault.TOO_LONG), Line(b"NOOP")]),
        (LONG + b"\r\n" + LONG + b"\n", [Line(b"", LineFault.TOO_LONG)] * 2),
        (b"NOOP\n", [Line(b"NOOP", LineFault.BARE_LF)]),
        (b"\n", [Line(b"", LineFault.BARE_LF)]),
        (b"NO\rOP\r\n", [Line(b"NO\rOP", LineFault.BARE_CR)]),
        (b"NOOP\r\r\n", [Line(b"NOOP\r", LineFault.BARE_CR)]),
        (b"NO\0OP\r\n", [Line(b"NO\0OP", LineFault.NUL)]),
        (b"N\0O\rOP\r\n", [Line(b"N\0O\rOP", LineFault.BARE_CR)]),
        (b"N\0O\rOP\n", [Line(b"N\0O\rOP", LineFault.BARE_LF)]),
        (b"\xff\xfe\r\n", [Line(b"\xff\xfe")]),
    ],
)
def test_lines_are_the_same_in_every_cut(data: bytes, expected: list[Line]) -> None:
    assert feed_every_way(make, data, lines) == expected


def test_an_incomplete_line_is_not_returned() -> None:
    assert feed_every_way(make, b"NOOP", lines, glued=b"") == []
    assert feed_every_way(make, b"NOOP\r", lines, glued=b"") == []
    assert feed_every_way(make, LONG, lines, glued=b"") == []


def test_an_over_long_line_is_never_buffered() -> None:
    buffer = make()
    for _ in range(1000):
        assert lines(buffer, LONG) == []
        assert len(buffer) < LIMIT_OCTETS
    assert lines(buffer, b"\r\n") == [Line(b"", LineFault.TOO_LONG)]
    assert buffer.consumed == 1000 * len(LONG) + 2


def test_the_limit_of_a_call_overrides_that_of_the_buffer() -> None:
    buffer = make()
    buffer.feed(LONG + b"\r\n" + b"NOOP\r\n")
    assert buffer.next_line(200) == Line(LONG)
    assert buffer.next_line(5) == Line(b"", LineFault.TOO_LONG)


def test_consumed_counts_line_ends_and_discarded_octets() -> None:
    buffer = make()
    lines(buffer, b"NOOP\r\n" + LONG + b"\n\n" + b"rest")
    assert buffer.consumed == 6 + 101 + 1
    assert len(buffer) == 4


def test_take_returns_buffered_octets_up_to_the_limit() -> None:
    buffer = make()
    assert buffer.take(10) == b""
    buffer.feed(b"abc\r\ndef")
    assert buffer.take(4) == b"abc\r"
    assert buffer.take(100) == b"\ndef"
    assert buffer.take(100) == b""
    assert buffer.consumed == 8


def test_take_in_the_middle_of_a_search_loses_no_line() -> None:
    buffer = make()
    assert lines(buffer, b"literal") == []
    assert buffer.take(3) == b"lit"
    assert lines(buffer, b"\r\n") == [Line(b"eral")]


def test_octets_put_back_come_first() -> None:
    buffer = make()
    buffer.feed(b"content.QUIT\r\nNO")
    assert buffer.take(14) == b"content.QUIT\r\n"
    buffer.put_back(len(b"QUIT\r\n"))
    assert buffer.consumed == 8
    assert lines(buffer, b"OP\r\n") == [Line(b"QUIT"), Line(b"NOOP")]


def test_several_pieces_may_be_fed_before_a_read() -> None:
    buffer = make()
    for piece in (b"NO", b"OP\r\nQUIT", LONG, b"\r", b"\nRSET\r\n"):
        buffer.feed(piece)
    assert lines(buffer, b"") == [Line(b"NOOP"), Line(b"", LineFault.TOO_LONG), Line(b"RSET")]


def test_clear_discards_and_counts_buffered_octets() -> None:
    buffer = make()
    assert lines(buffer, b"STARTTLS\r\nMAIL") == [Line(b"STARTTLS")]
    assert buffer.clear() == 4
    assert len(buffer) == 0
    assert buffer.consumed == 10
    assert lines(buffer, b"EHLO\r\n") == [Line(b"EHLO")]


def test_clear_ends_an_over_long_line() -> None:
    buffer = make()
    lines(buffer, LONG)
    buffer.clear()
    assert lines(buffer, b"EHLO\r\n") == [Line(b"EHLO")]


pieces = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\0", b"exactly eighteen..", b"\xff"]))


def split_naively(data: bytes) -> list[Line]:
    """A simple implementation of the buffer."""
    result = []
    while b"\n" in data:
        octets, data = data.split(b"\n", 1)
        line = octets.removesuffix(b"\r")
        if len(octets) + 1 > LIMIT_OCTETS:
            result.append(Line(b"", LineFault.TOO_LONG))
        elif line == octets:
            result.append(Line(line, LineFault.BARE_LF))
        elif b"\r" in line:
            result.append(Line(line, LineFault.BARE_CR))
        else:
            result.append(Line(line, LineFault.NUL if b"\0" in line else None))
    return result


@quick
@given(data=pieces.map(b"".join) | st.binary(max_size=100))
def test_any_octets_give_the_same_lines_in_every_cut(data: bytes) -> None:
    assert feed_every_way(make, data, lines, glued=b"") == split_naively(data)


@quick
@given(data=st.lists(st.binary(max_size=60) | pieces.map(b"".join)))
def test_every_octet_is_consumed_or_buffered(data: list[bytes]) -> None:
    buffer = make()
    for piece in data:
        lines(buffer, piece)
        assert len(buffer) < LIMIT_OCTETS
    assert buffer.consumed + len(buffer) == len(b"".join(data))


def make_framer() -> LineFramer:
    return LineFramer(LIMIT_OCTETS, max_response=60)


def test_line_framer_is_a_framer() -> None:
    framer: Framer[Line] = make_framer()
    assert frames(framer, b"NOOP\r\n") == [Line(b"NOOP")]


def test_a_response_has_its_own_limit_and_a_command_follows() -> None:
    framer = make_framer()
    framer.expect(LineMode.RESPONSE)
    assert frames(framer, b"r" * 50 + b"\r\n" + b"c" * 50 + b"\r\n") == [
        Line(b"r" * 50),
        Line(b"", LineFault.TOO_LONG),
    ]


def test_response_is_the_same_in_every_cut() -> None:
    def expecting() -> LineFramer:
        framer = make_framer()
        framer.expect(LineMode.RESPONSE)
        return framer

    assert feed_every_way(expecting, b"r" * 58 + b"\r\n", frames) == [Line(b"r" * 58)]
    assert feed_every_way(expecting, b"r" * 59 + b"\r\n", frames) == [Line(b"", LineFault.TOO_LONG)]


def test_clear_resets_the_expected_mode() -> None:
    framer = make_framer()
    framer.expect(LineMode.RESPONSE)
    framer.clear()
    assert frames(framer, b"c" * 50 + b"\r\n") == [Line(b"", LineFault.TOO_LONG)]
