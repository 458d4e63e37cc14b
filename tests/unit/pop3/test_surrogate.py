"""Headers in ASCII, for clients that did not ask for UTF8."""

from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_pop3.surrogate import encode_header


def subject_of(header: bytes) -> str:
    return str(make_header(decode_header(message_from_bytes(header)["Subject"])))


@pytest.mark.parametrize(
    "subject",
    ["Grüße", "Grüße aus Zürich", "aus Zürich", "日本語の件名はとても長いことがあります" * 3, "🎉 party", "e\u0301"],
)
def test_what_a_client_shows_is_what_was_sent(subject: str) -> None:
    surrogate = encode_header(f"Subject: {subject}\r\n\r\n".encode())

    assert surrogate.isascii()
    assert subject_of(surrogate) == subject


def test_addresses_stay_addresses() -> None:
    surrogate = encode_header('From: Jörg Müller <jörg@example.org>, "Ann, ä" <ann@example.org>\r\n\r\n'.encode())

    addresses = message_from_bytes(surrogate)["From"].split(",")
    assert surrogate.isascii()
    assert addresses[0].endswith("=?= <=?UTF-8?B?asO2cmc=?=@example.org>")
    assert addresses[-1].endswith("<ann@example.org>")


def test_an_ascii_header_is_not_touched() -> None:
    header = b"Subject: =?utf-8?q?J=C3=B6rg?=\r\nX-Odd:   two  spaces\r\n\r\n"

    assert encode_header(header) is header


def test_a_header_in_another_charset_is_not_touched() -> None:
    assert encode_header(b"Subject: caf\xe9\r\n\r\n") == b"Subject: caf\xe9\r\n\r\n"


def test_lines_stay_lines() -> None:
    header = "Subject: ä\r\n ö\r\nTo: bob@example.net\r\n\r\n".encode()

    assert encode_header(header).endswith(b"\r\nTo: bob@example.net\r\n\r\n")


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_no_octet_beyond_ascii_is_left(text: str) -> None:
    assert encode_header(f"Subject: {text}".encode("utf-8", "ignore")).isascii()


def test_a_huge_header_takes_no_more_than_its_share() -> None:
    # Quadratic searching would take minutes here, and pytest's timeout would tell.
    assert encode_header(b"X: " + b"a" * 1_000_000 + " ü".encode()).isascii()
