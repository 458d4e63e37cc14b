"""Signed return paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_relay.reports.return_path import MAX_LOCAL_PART_OCTETS, return_path, verify

SECRET = b"0123456789abcdef0123456789abcdef"
IDS = st.integers(0, 2**128 - 1)
LOCALS = st.from_regex(r"[a-zA-Z0-9+_-]{1,8}(?:\.[a-zA-Z0-9+=-]{1,8})?", fullmatch=True)
ADDRESS = return_path(SECRET, 4242, "bounces", "Example.org")


@given(IDS, LOCALS)
def test_a_return_path_is_verified_in_any_case(queue_id: int, local: str) -> None:
    address = return_path(SECRET, queue_id, local, "Example.org")
    assert [verify(SECRET, each) for each in (address, address.upper(), address.lower())] == [queue_id] * 3


@given(IDS)
def test_the_local_part_is_short(queue_id: int) -> None:  # RFC 5321 §4.5.3.1.1
    local_part, _, domain = return_path(SECRET, queue_id, "b" * 24, "example.org").partition("@")
    assert len(local_part) <= MAX_LOCAL_PART_OCTETS
    assert domain == "example.org"


@pytest.mark.parametrize(("queue_id", "octets"), [(2**64 - 1, 37), (2**128 - 1, 24)])
def test_the_longest_local_part(queue_id: int, octets: int) -> None:
    assert verify(SECRET, return_path(SECRET, queue_id, "b" * octets, "example.org")) == queue_id
    with pytest.raises(ValueError, match="longer than 64"):
        return_path(SECRET, queue_id, "b" * (octets + 1), "example.org")


@pytest.mark.parametrize("local", ["", "a b", '"a b"', "a@b", ".a", "a..b", "ä", "a\r\nb", "<a"])
def test_a_local_part_that_is_no_dot_atom_is_an_error(local: str) -> None:
    with pytest.raises(ValueError, match="dot-atom"):
        return_path(SECRET, 1, local, "example.org")


@pytest.mark.parametrize("queue_id", [-1, 2**128])
def test_an_identifier_out_of_range_is_an_error(queue_id: int) -> None:
    with pytest.raises(ValueError, match="range"):
        return_path(SECRET, queue_id, "bounces", "example.org")


@given(st.integers(0, len(ADDRESS) - 1), st.characters(codec="utf-8"))
def test_a_changed_address_is_not_verified(position: int, character: str) -> None:
    changed = ADDRESS[:position] + character + ADDRESS[position + 1 :]
    assert (verify(SECRET, changed) is None) is (changed.lower() != ADDRESS.lower())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann@example.org",
        "bounces@example.org",
        "bounces+4@example.org",
        "bounces+-000000000000@example.org",
        "bounces+44i-000000000000@example.org",
        ADDRESS.replace("Example.org", "example.com"),
        ADDRESS.replace("bounces", "ann"),
        ADDRESS.replace("+", "+0", 1).replace("-", "-0"),
        "a" * 10_000 + ADDRESS,
        f"{ADDRESS}\n",
    ],
)
def test_another_address_is_not_verified(address: str) -> None:
    assert verify(SECRET, address) is None


def test_another_secret_does_not_verify() -> None:
    assert verify(SECRET[::-1], ADDRESS) is None


def test_addresses_do_not_change_between_versions() -> None:
    """Reports arrive days after the message was sent, so that every version verifies the addresses of older ones."""
    assert return_path(SECRET, 4242, "bounces", "example.org") == "bounces+44i-vaaqd4k9ts8l@example.org"
