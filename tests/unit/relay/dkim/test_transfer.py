"""Transfer encodings, with the standard library's decoders as the oracle."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mime.transfer import decode_base64
from relate_relay.dkim.data import BLOCK_OCTETS
from relate_relay.dkim.transfer import (
    MAX_LINE_OCTETS,
    encode_base64,
    encode_quoted_printable,
    refold_base64,
)

contents = st.one_of(
    st.binary(),
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"=", b".", b"a", b"x" * 75, b"\xff", b"\0"])).map(
        b"".join
    ),
)


def assert_lines(encoded: bytes) -> None:
    assert encoded.isascii()
    assert encoded.count(b"\n") == encoded.count(b"\r") == encoded.count(b"\r\n")
    assert max(map(len, encoded.split(b"\r\n"))) <= MAX_LINE_OCTETS


def quoted(content: bytes) -> bytes:
    return b"".join(encode_quoted_printable(b"?" + content + b"?", 1, 1 + len(content)))


@given(contents)
def test_quoted_printable_is_decoded_to_the_content(content: bytes) -> None:
    encoded = quoted(content)

    assert_lines(encoded)
    assert quopri.decodestring(encoded) == content
    assert not any(line.endswith((b" ", b"\t")) for line in encoded.split(b"\r\n"))


EXAMPLES = {
    "Grüße = x\r\n".encode(): b"Gr=C3=BC=C3=9Fe =3D x\r\n",
    b"a \r\nb\t\r\n": b"a=20\r\nb=09\r\n",  # white space at the end of a line (RFC 2045 §6.7 (3))
    b"a\nb\rc\0": b"a=0Ab=0Dc=00",
    b".\r\n": b"=2E\r\n",
    b"": b"",
}


@pytest.mark.parametrize(("content", "encoded"), EXAMPLES.items())
def test_quoted_printable(content: bytes, encoded: bytes) -> None:
    assert quoted(content) == encoded


@pytest.mark.parametrize("unit", [b"x", b"\xff", b" ", b"ab\r\n", b"x" * 1_000 + b"\r\n", b"\r"])
def test_quoted_printable_of_more_than_a_block(unit: bytes) -> None:
    content = unit * (2 * BLOCK_OCTETS // len(unit) + 1)

    assert_lines(quoted(content))
    assert quopri.decodestring(quoted(content)) == content


@pytest.mark.parametrize("length", range(70, 80))
def test_a_soft_line_break_before_an_encoded_line_feed_fits_in_the_line(length: int) -> None:
    assert_lines(quoted(b"x" * length + b"\n"))


@pytest.mark.parametrize("encoded_octets", range(75))
def test_a_soft_line_break_at_the_end_of_a_block_fits_in_the_line(encoded_octets: int) -> None:
    content = b"\xff" * encoded_octets + b"x" * (2 * BLOCK_OCTETS)

    assert_lines(quoted(content))
    assert quopri.decodestring(quoted(content)) == content


@given(contents)
def test_base64_is_decoded_to_the_content(content: bytes) -> None:
    encoded = b"".join(encode_base64(b"?" + content + b"?", 1, 1 + len(content)))

    assert_lines(encoded)
    assert base64.b64decode(encoded) == content


def test_base64_of_more_than_a_step() -> None:
    content = bytes(range(256)) * 1_000
    encoded = b"".join(encode_base64(content, 0, len(content)))

    assert_lines(encoded)
    assert base64.b64decode(encoded) == content
    assert {len(line) for line in encoded.split(b"\r\n")[:-2]} == {MAX_LINE_OCTETS}


@given(
    st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 400), st.sampled_from([b"\n", b"\0", b"\xff", b" "])))
)
def test_refolded_base64_has_the_same_content(content: bytes, insertions: list[tuple[int, bytes]]) -> None:
    damaged = base64.b64encode(content)
    for position, octet in insertions:
        damaged = damaged[:position] + octet + damaged[position:]
    encoded = b"".join(refold_base64(damaged, 0, len(damaged)))

    assert_lines(encoded)
    assert decode_base64(encoded) == content


def test_refolded_base64_of_more_than_a_block() -> None:
    line = base64.b64encode(bytes(range(256)) * 1_000)
    encoded = b"".join(refold_base64(line, 0, len(line)))

    assert_lines(encoded)
    assert base64.b64decode(encoded) == bytes(range(256)) * 1_000
