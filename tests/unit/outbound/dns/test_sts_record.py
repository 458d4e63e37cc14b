"""The TXT record of `_mta-sts.<domain>` (RFC 8461 §3.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_outbound.dns.sts_record import find_id

IDS = {
    b"v=STSv1; id=20160831085700Z;": "20160831085700Z",
    b"v=STSv1; id=20160831085700Z": "20160831085700Z",
    b"v=STSv1;id=1": "1",
    b"v=STSv1 ;\tid=1 ; ": "1",
    b"v=STSv1; id=" + b"a" * 32: "a" * 32,
    b"v=STSv1; ext=x:y; id=1": "1",
    b"v=STSv1; id=1; more.of_it-=!~": "1",
    b"v=STSv1; id=1; id=2": "1",
}
INVALID = [
    b"v=STSv1;",
    b"v=STSv1",
    b"v=STSv1; id=",
    b"v=STSv1; id=" + b"a" * 33,
    b"v=STSv1; id=a-b",
    b"v=STSv1; id=\xff",
    b"v=STSv1; ID=1",
    b"v=STSv1; id=1; id",
    b"v=STSv1; id=1;;",
    b"v=STSv1; id=1; ext=a b",
    b"v=STSv1; id=1; ext=a=b",
    b"v=STSv1; id=1; -ext=a",
    b"v=STSv1; id=1; " + b"e" * 33 + b"=a",
    b"v=STSv1; id =1",
    b"V=STSv1; id=1",
    b" v=STSv1; id=1",
    b"v=STSv2; id=1",
    b"v=STSv11; id=1",
]


@pytest.mark.parametrize(("record", "expected"), IDS.items())
def test_the_id_of_a_record(record: bytes, expected: str) -> None:
    assert find_id([record]) == expected


@pytest.mark.parametrize("record", INVALID)
def test_an_invalid_record_has_no_id(record: bytes) -> None:
    assert find_id([record]) is None


def test_records_of_other_versions_are_discarded() -> None:
    assert find_id([b"v=spf1 -all", b"v=STSv1; id=1", b"v=STSv2; id=2"]) == "1"


def test_two_records_of_the_version_are_none() -> None:
    assert find_id([b"v=STSv1; id=1", b"v=STSv1; id=1"]) is None
    assert find_id([b"v=STSv1; id=1", b"v=STSv1; invalid"]) is None


def test_no_record_is_none() -> None:
    assert find_id([]) is None


@given(st.lists(st.binary(max_size=60).map(lambda octets: b"v=STSv1;" + octets), max_size=2))
def test_any_record_has_an_id_of_letters_and_digits_or_none(records: list[bytes]) -> None:
    found = find_id(records)
    assert found is None or (found.isascii() and found.isalnum() and len(found) <= 32)
