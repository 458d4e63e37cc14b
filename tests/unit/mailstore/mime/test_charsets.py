"""Charsets and transfer encodings: every codec, every octet, nothing raised."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webencodings.labels import LABELS

from relate_mailstore.mime import charsets
from relate_mailstore.mime.charsets import (
    _CODECS,
    _fold_label,
    clean_lines,
    clean_value,
    decode_charset,
    decode_slices,
)
from relate_mailstore.mime.transfer import decode_transfer


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values()) - {""}))
def test_every_codec_decodes_every_octet(codec: str) -> None:
    octets = bytes(range(256))
    for some in (octets, octets[::-1], octets[::3] * 2, *(bytes([octet]) for octet in octets)):
        text = decode_charset(some, codec)
        clean_value(text).encode()
        clean_lines(text).encode()


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("utf-8", b"\xe2\x82\xac", "€"),
        ("UTF8", b"\xe2\x82\xac", "€"),
        ("iso-8859-15", b"\xa4", "€"),
        ("windows-1252", b"\x80", "€"),
        ("ISO_8859-1", b"\xe9", "é"),
        ("us-ascii", b"\xc3\xa9", "é"),
        ("ascii", b"\xe9", "é"),
        ("koi8-u", b"\xa4", "є"),
        ("iso-2022-jp", b"\x1b$B$3\x1b(B", "こ"),
        ("ks_c_5601-1987", b"\xb0\xa1", "가"),
        ("iso-8859-8-i", b"\xe0", "א"),
        ("utf-7", b"+AOk-", "é"),
        ("", b"\xc3\xa9", "é"),
        ("punycode", b"\xe9", "é"),
        ("../../etc/passwd", b"a", "a"),
        ("utf-8\0", b"\xc3\xa9", "é"),
        ("windows-874", "สวัสดี".encode("cp874"), "สวัสดี"),
        ("windows-31j", "日本".encode("cp932"), "日本"),
        ("csEUCPkdFmtJapanese", "日本".encode("euc_jp"), "日本"),
        ("x-cp1251", "Привет".encode("cp1251"), "Привет"),
        ("x-gbk", "你好".encode("gbk"), "你好"),
        ("windows-949", "안녕".encode("cp949"), "안녕"),
        ("x-mac-cyrillic", "Привет".encode("mac_cyrillic"), "Привет"),
        ("gb_2312-80", "你好".encode("gb2312"), "你好"),
        ("ISO_8859-2:1987", b"\xb1", "ą"),
        ("IBM00858", b"\xd5", "€"),
        ("x-user-defined", b"\xc3\xa9", "é"),
        ("base64", b"YQ==", "YQ=="),
        ("rot13", b"a", "a"),
        ("hex", b"61", "61"),
        ("idna", b"xn--a", "xn--a"),
        ("unicode_escape", b"\\n", "\\n"),
        ("u" * 10_000, b"a", "a"),
    ],
)
def test_a_charset_is_known_by_its_names_in_mail(charset: str, octets: bytes, text: str) -> None:
    assert decode_charset(octets, charset) == text


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_label_of_the_whatwg_is_known(label: str) -> None:
    assert _fold_label(label) in _CODECS


def test_labels_reach_codecs_of_text_only() -> None:
    for codec in {*_CODECS.values()} - {""}:
        assert codecs.lookup(codec)._is_text_encoding


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values()) - {""}))
@given(octets=st.binary(max_size=40), times=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_slices_are_decoded_as_the_whole_is(codec: str, octets: bytes, times: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charsets, "SLICE_OCTETS", 16)
        sliced = "".join(decode_slices(octets * times, codec))
    if codec != "utf_7":  # of which a run longer than a slice is cut
        assert sliced.lstrip("\ufeff") == (octets * times).decode(codec, "replace").lstrip("\ufeff")


@pytest.mark.parametrize("octets", [b"+AAAA" * 9, b"\xff" * 9, b"+" + b"A" * 99])
def test_a_shift_that_never_ends_is_decoded_in_slices(octets: bytes) -> None:
    pieces = [*decode_slices(octets * 5_000, "utf-7")]
    assert max(map(len, pieces)) <= 3 * charsets.SLICE_OCTETS


@pytest.mark.parametrize(
    ("encoding", "encoded", "octets"),
    [
        ("base64", b"SGVsbG8=", b"Hello"),
        ("base64", b"SGVs\r\nbG8=\r\n", b"Hello"),
        ("base64", b"SGVsbG8", b"Hello"),
        ("base64", b"SGVsb", b"Hel"),
        ("base64", b"S!G?V s-bG8=", b"Hello"),
        ("base64", b"SGVsbG8=\r\n-- \r\nfooter", b"Hello"),
        ("base64", b"=", b""),
        ("base64", b"", b""),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc"),
        ("quoted-printable", b"=e9=E9", b"\xe9\xe9"),
        ("quoted-printable", b"a=zz=", b"a=zz"),
        ("quoted-printable", b"a_b", b"a_b"),
        ("7bit", b"a=3D", b"a=3D"),
        ("x-unknown", b"a=3D", b"a=3D"),
    ],
)
def test_transfer_encodings_are_undone(encoding: str, encoded: bytes, octets: bytes) -> None:
    assert decode_transfer(encoded, encoding) == octets


@given(st.binary(max_size=60), st.sampled_from(("base64", "quoted-printable", "7bit")))
@settings(max_examples=100, deadline=None)
def test_no_octets_make_decoding_raise(octets: bytes, encoding: str) -> None:
    decode_transfer(octets, encoding)
