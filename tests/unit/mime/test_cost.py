"""Messages to index in the event loop: ordinary ones, but none with headers that could block it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime.cost import HEADER_OCTETS, LARGE_OCTETS, MAX_DELIMITER_LINES, SMALL_OCTETS, is_cheap_to_index
from relate_mime.scan import Node, scan
from tests.unit.mime.messages import damaged_messages, messages

LINE = b"x" * 76 + b"\r\n"
TEXT = LINE * 300
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"(" * SMALL_OCTETS,
        b"Subject: a\r\nMessage-ID: <a@b>\r\n\r\n" + TEXT,
        b"Subject: a\n\n" + TEXT.replace(b"\r\n", b"\n"),
        MIXED + (b"--b\r\nContent-Type: text/html\r\n\r\n" + TEXT) * 2 + b"--b--\r\n",
        b"Received: from a by b\r\n" * 200 + b"\r\n" + TEXT,
    ],
)
def test_ordinary_message_is_cheap(raw: bytes) -> None:
    assert is_cheap_to_index(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: a\r\n\r\n" + b"x" * LARGE_OCTETS,
        b"To: " + b"a@b, " * (HEADER_OCTETS // 4) + b"\r\n\r\n",
        b"x" * (2 * HEADER_OCTETS),
        MIXED + b"--b\r\n\r\n\r\n" * MAX_DELIMITER_LINES + TEXT,
        MIXED + b"--b\r\nContent-Type: a/b" + b'; a="' * HEADER_OCTETS + b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nTo: " + b"a@b, " * HEADER_OCTETS,
        b"Content-Type: MESSAGE (x) / rfc822\r\n\r\nTo: " + b"a@b, " * HEADER_OCTETS,
        b"Content-Type: multipart/Digest; boundary=b\r\n\r\n--b\r\n\r\nTo: " + b"a@b, " * HEADER_OCTETS,
    ],
)
def test_message_with_possibly_long_headers_is_not_cheap(raw: bytes) -> None:
    assert not is_cheap_to_index(raw)


@given(st.one_of(messages, damaged_messages), st.sampled_from((LINE, b"To: a@b\r\n", b"--b\r\n", b"\r\n")))
@settings(max_examples=300)
def test_cheap_message_has_short_headers(raw: bytes, padding: bytes) -> None:
    raw += padding * (1 + SMALL_OCTETS // len(padding))
    if is_cheap_to_index(raw):
        assert header_octets(scan(raw)) <= HEADER_OCTETS + MAX_DELIMITER_LINES * 4  # for the blank lines


def header_octets(node: Node) -> int:
    return node.body - node.header + sum(map(header_octets, node.children))
