"""Group names among the addresses of a message."""

import pytest

from relate_mime import Address, index_message
from relate_mime.groups import people_with_groups


def listed(field: str, value: str) -> list[str]:
    index = index_message(f"From: Ann <ann@x>\r\n{field}: {value}\r\n\r\n".encode())
    found = dict(zip(("From", "To", "Cc", "Bcc"), people_with_groups(index), strict=True))[field]
    return [f"{name}|{address}" for name, address in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("undisclosed-recipients:;", ["|undisclosed-recipients"]),
        ("b@y, Team: c@z, D <d@z>;, e@w", ["|b@y", "|Team", "|c@z", "D|d@z", "|e@w"]),
        ('"The team" : a@x;', ["|The team", "|a@x"]),
        ("=?utf-8?q?Gr=C3=BCne?=: a@x;", ["|Grüne", "|a@x"]),
        ("A:;, B:;", ["|A", "|B"]),
        ("Team: a@x", ["|Team", "|a@x"]),
        ("a@x", ["|a@x"]),
        ("", []),
    ],
)
def test_group_name_precedes_its_members(value: str, expected: list[str]) -> None:
    for field in ("To", "Cc", "Bcc"):
        assert listed(field, value) == expected


def test_from_may_be_a_group() -> None:
    index = index_message(b"From: Board: a@x, b@x;\r\nSubject: (NIL NIL NIL NIL)\r\n\r\n")
    assert people_with_groups(index)[0] == (Address("", "Board"), Address("", "a@x"), Address("", "b@x"))


def test_group_name_may_be_a_literal_in_the_envelope() -> None:
    assert listed("To", 'Gr\u00fcne "A\\"B": a@x;')[-1] == "|a@x"
