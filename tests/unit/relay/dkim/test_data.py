"""The kinds of data of RFC 2045 §2.7 to §2.9."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_relay.dkim.data import BLOCK_OCTETS, MAX_LINE_OCTETS, Data, classify, has_long_line, line_blocks

LINE = b"x" * MAX_LINE_OCTETS + b"\r\n"

KINDS = {
    b"": Data.SEVEN_BIT,
    b"text\r\n\r\ntext": Data.SEVEN_BIT,
    LINE: Data.SEVEN_BIT,
    LINE[:-2]: Data.SEVEN_BIT,
    "ü\r\n".encode(): Data.EIGHT_BIT,
    b"\xff": Data.EIGHT_BIT,
    b"\0": Data.BINARY,
    b"a\nb": Data.BINARY,
    b"a\rb": Data.BINARY,
    b"a\r\n\n": Data.BINARY,
    b"\r\r\n": Data.BINARY,
    b"\n": Data.BINARY,
    b"a\r": Data.BINARY,
    b"x" + LINE: Data.BINARY,
    b"x" + LINE[:-2]: Data.BINARY,
    b"\r\n" + b"x" + LINE + b"\r\n": Data.BINARY,
}


@pytest.mark.parametrize(("octets", "kind"), KINDS.items())
def test_the_kind_of_data(octets: bytes, kind: Data) -> None:
    assert classify(octets, 0, len(octets)) is kind
    assert classify(b"\0" + octets + b"\0", 1, 1 + len(octets)) is kind


@pytest.mark.parametrize("unit", [b"a\r\n", b"\r\n", b"abc\r\n", LINE])
@pytest.mark.parametrize("last", [Data.SEVEN_BIT, Data.EIGHT_BIT, Data.BINARY])
def test_blocks_do_not_matter(unit: bytes, last: Data) -> None:
    octets = unit * (3 * BLOCK_OCTETS // len(unit)) + (b"", b"\xff", b"\0")[last]

    assert classify(octets, 0, len(octets)) is last


def test_long_lines_of_any_length_are_noticed() -> None:
    for length in (999, BLOCK_OCTETS - 1, BLOCK_OCTETS, BLOCK_OCTETS + 1, 3 * BLOCK_OCTETS):
        octets = b"a\r\n" + b"x" * length + b"\r\na\r\n"
        assert classify(octets, 0, len(octets)) is Data.BINARY


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"x", b"y" * 40_000, b"y" * 65_535]), max_size=8).map(b"".join))
def test_blocks_are_bounded_and_never_cut_a_line_end(octets: bytes) -> None:
    blocks = [octets[start:stop] for start, stop in line_blocks(octets, 0, len(octets))]

    assert b"".join(blocks) == octets
    assert all(0 < len(block) <= BLOCK_OCTETS for block in blocks)
    assert sum(block.count(b"\r\n") for block in blocks) == octets.count(b"\r\n")


@given(st.lists(st.integers(0, 1_100), max_size=6))
def test_long_lines_equal_the_reference(lengths: list[int]) -> None:
    octets = b"\r\n".join(b"x" * length for length in lengths)

    assert has_long_line(octets) is (max(lengths, default=0) > MAX_LINE_OCTETS)
