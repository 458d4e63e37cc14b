"""The text that searches match, without a store."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore import search_text
from relate_mailstore.search_text import TEXT_CHARACTERS, SearchText, message_text
from relate_mailstore.sql.schema.rows import storable
from relate_mime import index_message
from relate_mime.charsets import decode_slices
from tests.support.growth import super_linear

CHARSETS = ("utf-8", "cp1252", "utf-16", "utf-7", "gb18030", "iso-2022-jp", "x-unknown")


def text_of(raw: bytes) -> SearchText:
    return message_text(raw, index_message(raw).parts)


def message(body: bytes, kind: str = "html", charset: str = "utf-8") -> bytes:
    return f"Subject: s\r\nContent-Type: text/{kind}; charset={charset}\r\n\r\n".encode() + body


def test_decoding_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0

    def count(octets: bytes, charset: str) -> Iterator[str]:
        nonlocal decoded
        for piece in decode_slices(octets, charset):
            decoded += len(piece)
            yield piece

    monkeypatch.setattr(search_text, "TEXT_CHARACTERS", 40_000)
    monkeypatch.setattr(search_text, "decode_slices", count)
    part = b"--b\r\nContent-Type: text/plain; charset=cp1252\r\n\r\n" + b"x" * 200_000 + b"\r\n"
    body = text_of(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + 3 * part + b"--b--").body
    assert len(body) == 40_000
    assert decoded <= 3 * 16_384


def test_encoded_filename_of_a_message_without_parts_is_in_its_header() -> None:
    raw = b"Content-Type: application/pdf; name*=utf-8''%C3%9Cber.pdf\r\n\r\nx"
    assert text_of(raw).header.endswith("\nüber.pdf")
    assert text_of(raw).body == ""


@given(st.binary(max_size=300), st.sampled_from(("plain", "html")), st.sampled_from(CHARSETS))
def test_text_of_any_octets_can_be_stored(octets: bytes, kind: str, charset: str) -> None:
    text = text_of(message(octets + b"&#0;&#xD800;\0", kind, charset))
    assert storable(text.body) == text.body
    assert storable(text.header) == text.header
    assert "\n" not in text.body


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize(
    "unit", [b"<a ", b"<b>", b"&#1", b"\xff", b"\x81", b"+A", b"\xef\xb7\xba", b"\xcc\x96\xcc\x81"]
)
def test_extraction_takes_linear_time(unit: bytes, charset: str) -> None:
    def extract(raw: bytes) -> None:
        assert len(message_text(raw, index_message(raw).parts).body) <= TEXT_CHARACTERS

    assert super_linear(extract, lambda size: message(unit * (size // len(unit)), "html", charset)) is None
