"""Charsets and transfer encodings: every codec, every octet, nothing raised."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mailstore.mime.charsets import _CODECS, clean_lines, clean_value, decode_charset
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
        ("utf-8\0", b"a", "a"),
    ],
)
def test_a_charset_is_known_by_its_names_in_mail(charset: str, octets: bytes, text: str) -> None:
    assert decode_charset(octets, charset) == text


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
@settings(max_examples=100)
def test_no_octets_make_decoding_raise(octets: bytes, encoding: str) -> None:
    decode_transfer(octets, encoding)
