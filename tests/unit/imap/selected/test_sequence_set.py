"""Sequence sets: parsing, merging, resolving, encoding."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.selected import sequence_set
from relate_imap.selected.sequence_set import (
    MAX_NUMBER,
    SAVED,
    STAR,
    SequenceSet,
    encode_list,
    encode_set,
    make_set,
    parse_set,
    resolve,
)

WRITTEN = [
    (b"1", ((1, 1),)),
    (b"2:4", ((2, 4),)),
    (b"4:2", ((2, 4),)),
    (b"1,3,2", ((1, 3),)),
    (b"5,1:2,9", ((1, 2), (5, 5), (9, 9))),
    (b"1:10,3:5,10:12", ((1, 12),)),
    (b"7,7,7", ((7, 7),)),
    (b"*", ((STAR, STAR),)),
    (b"3291:*", ((3291, STAR),)),
    (b"*:4", ((4, STAR),)),
    (b"*:*", ((STAR, STAR),)),
    (b"2,*", ((2, 2), (STAR, STAR))),
    (b"4294967295", ((MAX_NUMBER, MAX_NUMBER),)),
    (b"1:4294967295", ((1, MAX_NUMBER),)),
]


@pytest.mark.parametrize(("octets", "ranges"), WRITTEN)
def test_sets_are_parsed_and_merged(octets: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_set(octets) == SequenceSet(ranges)


NO_SETS = """
0 01 1,, , ,1 1,,2 1: :1 1:2:3 4294967296 1:4294967296 4294967296:* 99999999999 -1 1-2 ** 1* *1 $,1 1,$ $$ a
"""


@pytest.mark.parametrize("octets", [b"", b" 1", b"1 ", b"\xb2", *NO_SETS.encode().split()])
def test_malformed_sets(octets: bytes) -> None:
    assert parse_set(octets) is None


def test_dollar_is_saved_result() -> None:
    assert parse_set(b"$") == SAVED


@pytest.mark.parametrize(
    ("octets", "largest", "ranges"),
    [
        (b"1:*", 3, [(1, 3)]),
        (b"*", 3, [(3, 3)]),
        (b"5:*", 3, [(3, 3)]),
        (b"*:5", 3, [(3, 3)]),
        (b"2:9", 3, [(2, 3)]),
        (b"5:9", 3, []),
        (b"1:*", 0, []),
        (b"1,*", 1, [(1, 1)]),
    ],
)
def test_star_resolves_to_largest(octets: bytes, largest: int, ranges: list[tuple[int, int]]) -> None:
    numbers = parse_set(octets)
    assert numbers is not None
    assert list(resolve(numbers, largest)) == ranges


@pytest.mark.parametrize("octets", [b"26,*", b"20:26,*", b"20:30,40:*", b"1:*,*"])
def test_largest_number_is_listed_once(octets: bytes) -> None:
    found = parse_set(octets)
    assert found is not None
    picked = [number for first, last in resolve(found, 26) for number in range(first, last + 1)]
    assert picked == sorted(set(picked))
    assert picked[-1] == 26


numbers = st.integers(1, 60) | st.integers(MAX_NUMBER - 3, MAX_NUMBER)
near = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=12)


@given(near)
def test_set_contains_numbers_of_elements(given_pairs: list[tuple[int, int]]) -> None:
    octets = ",".join(f"{first}:{last}" for first, last in given_pairs).encode()
    expected = {number for pair in given_pairs for number in range(min(pair), max(pair) + 1)}

    found = parse_set(octets)

    assert found == make_set(given_pairs)
    assert found is not None
    assert {number for number in range(70) if number in found} == expected
    assert all(last + 1 < first for (_, last), (first, _) in zip(found.ranges, found.ranges[1:], strict=False))


@given(st.sets(numbers, min_size=1))
def test_encoded_set_parses_to_itself(members: set[int]) -> None:
    written = encode_set(sorted(members))

    assert parse_set(written.encode()) == make_set((number, number) for number in members)
    assert parse_set(",".join(map(str, members)).encode()) == parse_set(written.encode())


def test_empty_set_encodes_to_nothing() -> None:
    assert encode_set([]) == ""


def test_hundred_thousand_elements() -> None:
    assert parse_set(b",".join(b"%d" % number for number in range(200_001, 1, -2))) == SequenceSet(
        tuple((number, number) for number in range(3, 200_002, 2))
    )
    assert parse_set(b",".join(b"%d:*" % number for number in range(1, 100_001))) == SequenceSet(((1, STAR),))


@pytest.mark.parametrize("numbers", [range(0), range(1, 4), range(990, 2_005), range(5_000, 5_001), [3, 1, 2], [7]])
def test_numbers_are_listed_in_their_order(numbers: Sequence[int]) -> None:
    assert encode_list(numbers) == "".join(f" {number}" for number in numbers)


def test_long_list_is_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_set, "PIECE_NUMBERS", 2)
    assert encode_list([5, 3, 9, 9, 1]) == " 5 3 9 9 1"


@pytest.mark.parametrize("numbers", [range(0), range(4, 5), range(4, 9)])
def test_range_is_encoded_like_its_numbers(numbers: range) -> None:
    assert encode_set(numbers) == encode_set([*numbers])
