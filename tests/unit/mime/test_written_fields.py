"""The fields of messages that we write: one value is one field (RFC 5322 §2.2)."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.writing.fields import encode_field, encode_subject


def test_a_long_value_is_folded_at_spaces() -> None:  # RFC 5322 §2.2.3
    words = " ".join(f"word{number}" for number in range(40))
    octets = encode_field("X-Words", words)
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert octets.replace(b"\r\n ", b" ") == f"X-Words: {words}\r\n".encode()


def test_a_run_of_spaces_does_not_make_an_empty_line() -> None:
    assert encode_field("X", f"a{' ' * 200}b") == b"X: a b\r\n"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Not delivered to bob@example.com", b"Subject: Not delivered to bob@example.com\r\n"),
        ("a\r\nX: b", b"Subject: a\\r\\nX: b\r\n"),
        ("bøb", b"Subject: =?utf-8?q?b=C3=B8b?=\r\n"),
    ],
)
def test_a_subject_is_encoded_if_it_is_not_ascii(subject: str, expected: bytes) -> None:  # RFC 2047 §2
    assert encode_subject(subject) == expected


@given(st.text())
def test_a_value_is_one_field(value: str) -> None:
    for octets in (encode_field("X", value), encode_field("X", value, ascii_only=True), encode_subject(value)):
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert len(message) == 1
        assert message.get_payload() == ""
