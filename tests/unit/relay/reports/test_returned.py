"""The third part of a report: the message or its header (RFC 6522 §2, RFC 6533 §4, RFC 3461 §4.3)."""

import base64

import pytest

from relate_relay.reports.original import MAX_HEADER_OCTETS
from relate_relay.reports.rules import MAX_RETURNED_OCTETS
from tests.unit.relay.reports.reports import (
    DELAYED,
    ORIGINAL,
    has_expected_structure,
    message_with,
    parse,
    parts_of,
    write,
)

HEADER = ORIGINAL.partition(b"\r\n\r\n")[0] + b"\r\n"


def returned(raw: bytes) -> tuple[str, str, bytes]:
    """Media type, encoding and content of the third part, octet for octet."""
    assert has_expected_structure(raw)
    message = parse(raw)
    part = parts_of(message)[2]
    delimiter = f"\r\n--{message.get_boundary()}".encode()
    _, _, content = raw.split(delimiter)[3].partition(b"\r\n\r\n")
    return part.get_content_type(), part["Content-Transfer-Encoding"], content


@pytest.mark.parametrize("ret", ["", "HDRS"])
def test_the_header_is_returned_by_default(ret: str) -> None:
    assert returned(write(message=message_with(ORIGINAL, ret=ret))) == ("text/rfc822-headers", "7bit", HEADER)


def test_the_front_of_a_message_is_enough_for_its_header() -> None:
    message = message_with(HEADER + b"\r\n", ret="FULL")
    incomplete = write(message=message_with(HEADER, ret="FULL"))
    assert returned(incomplete)[2] == HEADER
    assert returned(write(message=message))[0] == "message/rfc822"


def test_the_whole_message_is_returned_on_request() -> None:
    raw = write(message=message_with(ORIGINAL, ret="FULL"))
    assert returned(raw) == ("message/rfc822", "7bit", ORIGINAL)


def test_a_body_of_8_bits_is_returned_octet_for_octet() -> None:
    content = ORIGINAL + "Grüße\r\n".encode("latin-1")
    assert returned(write(message=message_with(content, ret="FULL"))) == ("message/rfc822", "8bit", content)


def test_a_header_of_utf8_is_returned_as_such() -> None:  # RFC 6533 §4.2, §4.3
    content = "Subject: Grüße\r\n\r\nText\r\n".encode()
    headers = ("message/global-headers", "8bit", "Subject: Grüße\r\n".encode())
    assert returned(write(message=message_with(content))) == headers
    assert returned(write(message=message_with(content, ret="FULL"))) == ("message/global", "8bit", content)


def test_a_header_of_another_charset_is_returned_octet_for_octet() -> None:
    header = "Subject: Grüße\r\n".encode("latin-1")
    assert returned(write(message=message_with(header + b"\r\n"))) == ("text/rfc822-headers", "8bit", header)


@pytest.mark.parametrize("line", [b"X: " + b"y" * 1_000, b"X: a\rb", b"X: a\nY: b", b"X: a\0b"])
def test_a_header_that_cannot_be_sent_as_it_is_is_encoded(line: bytes) -> None:
    media_type, encoding, content = returned(write(message=message_with(line + b"\r\n" + HEADER + b"\r\n")))
    assert (media_type, encoding) == ("text/rfc822-headers", "base64")
    assert base64.b64decode(content) == line + b"\r\n" + HEADER


@pytest.mark.parametrize("body", [b"y" * 999 + b"\r\n", b"a\rb\r\n", b"a\nb\r\n", b"a\0b\r\n"])
def test_a_message_that_cannot_be_sent_as_it_is_is_not_returned_whole(body: bytes) -> None:  # RFC 2046 §5.2.1
    assert returned(write(message=message_with(HEADER + b"\r\n" + body, ret="FULL")))[2] == HEADER


def test_a_large_message_is_not_returned_whole() -> None:
    content = ORIGINAL + b"x\r\n" * MAX_RETURNED_OCTETS
    assert returned(write(message=message_with(content, ret="FULL")))[2] == HEADER


def test_a_report_of_a_delay_returns_the_header() -> None:  # RFC 3461 §4.3
    assert returned(write(DELAYED, message=message_with(ORIGINAL, ret="FULL")))[2] == HEADER


def test_a_long_header_is_cut_at_the_end_of_a_line() -> None:
    field = b"X-Field: value\r\n"
    content = returned(write(message=message_with(field * 10_000 + b"\r\n")))[2]
    assert len(content) == MAX_HEADER_OCTETS // len(field) * len(field)
    assert content.endswith(field)


def test_a_message_without_a_header_is_reported() -> None:
    assert returned(write(message=message_with(b"\r\ntext\r\n")))[2] == b""
    assert returned(write(message=message_with(b"")))[2] == b""
