"""Charsets and transfer encodings: every codec decodes every octet without raising."""

import codecs
import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webencodings.labels import LABELS

from relate_mime import charsets
from relate_mime.charsets import (
    _CODECS,
    SLICE_OCTETS,
    _fold_label,
    clean_lines,
    clean_value,
    decode_charset,
    decode_slices,
    decode_unlabelled,
)
from relate_mime.transfer import QuotedPrintableDecoder, decode_transfer
from tests.support.examples import examples


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values()) - {""}))
def test_every_codec_decodes_every_octet(codec: str) -> None:
    octets = bytes(range(256))
    for sample in (octets, octets[::-1], octets[::3] * 2, *(bytes([octet]) for octet in octets)):
        text = decode_charset(sample, codec)
        for clean in (clean_value, clean_lines):
            assert not any("\ud800" <= letter <= "\udfff" for letter in clean(text))


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
def test_charset_has_all_its_labels(charset: str, octets: bytes, text: str) -> None:
    assert decode_charset(octets, charset) == text


UNLABELLED = {
    b"Rechnung f\xc3\xbcr M\xc3\xbcnchen und K\xc3": "Rechnung für München und K\ufffd",  # truncated
    b"\xd0\x9a\xd0\xb0\xd1\x80\xd1": "Кар\ufffd",
    b"\xe2\x82\xac 5, \xe2\x82": "€ 5, \ufffd",
    b"\xf0\x9f\x8e\x89 \xf0\x9f\x8e": "🎉 \ufffd",
    b"\xbcr f\xc3\xbcr": "\ufffdr für",  # the beginning is missing
    b"f\xc3\xbcr \xff M\xc3\xbcnchen": "für \ufffd München",  # a stray octet
    b"f\xc3\xbcr \xfc": "für \ufffd",
    b"\xc3\xa9\xc3 \xc3\xa9": "é\ufffd é",
    b"gr\xc3\xbc\xc3\x9fe \xed\xa0\x80 \xc3\xbc": "grüße \ufffd\ufffd\ufffd ü",  # a surrogate
    "ü\ufffdö".encode() + b"\xff": "ü\ufffdö\ufffd",
    "日本語".encode()[:-1]: "日本\ufffd",
    b"caf\xe9": "café",
    b"Gr\xfc\xdfe": "Grüße",
    b"\xe9t\xe9 \xe0 la carte": "été à la carte",
    b"\xc4\xd6\xdc": "ÄÖÜ",
    b"\xff\xfe": "ÿþ",
    b"plain": "plain",
    b"": "",
}


@pytest.mark.parametrize(("octets", "text"), UNLABELLED.items())
@pytest.mark.parametrize("charset", ["", "us-ascii", "x-unknown"])
def test_one_invalid_octet_does_not_turn_utf_8_into_latin_1(octets: bytes, text: str, charset: str) -> None:
    assert decode_unlabelled(octets) == text
    assert decode_charset(octets, charset) == text


@given(st.text("äöü€日本語Привет🎉", min_size=3, max_size=20))
@settings(max_examples=examples(200))
def test_truncated_utf_8_stays_utf_8(text: str) -> None:
    assert decode_unlabelled(text.encode()[:-1]) == text[:-1] + "\ufffd"


QUOTED_PRINTABLE = {
    b"hello  \r\nyou": b"hello\r\nyou",  # RFC 2045 §6.7 (3)
    b"hello\t \r\n": b"hello\r\n",
    b"hello \nyou\t\n": b"hello\nyou\n",
    b"  \r\n\t\r\n": b"\r\n\r\n",
    b"hello =20\r\n": b"hello  \r\n",
    b"hello  ": b"hello",
    b"a b\tc": b"a b\tc",
    b"soft= \t\r\nbreak": b"softbreak",  # RFC 2045 §6.7 (5)
    b"soft=\r\nbreak": b"softbreak",
    b"soft=\nbreak": b"softbreak",
    b"soft =\r\nbreak": b"soft break",
    b"soft= ": b"soft",
    b"soft=": b"soft",
    b"soft=\r\n": b"soft",
    b"=e9=E9=c3=A9": b"\xe9\xe9\xc3\xa9",
    b"a=zz=4": b"a=zz=4",
    b"a==41": b"a=A",
    b"a===\r\nb": b"a==b",
    b"a=\rb\nc": b"a=\rb\nc",
    b"a= b": b"a= b",
    b"http://a/?b=c&d=": b"http://a/?b=c&d",
    b"a=0D=0A": b"a\r\n",
    b"\xff=\xff": b"\xff=\xff",
    b"a \r b": b"a \r b",
}


@pytest.mark.parametrize(("encoded", "octets"), QUOTED_PRINTABLE.items())
def test_quoted_printable_is_decoded(encoded: bytes, octets: bytes) -> None:
    assert decode_transfer(encoded, "quoted-printable") == octets


pieces = st.lists(
    st.sampled_from((b"=", b"4", b"1", b"g", b" ", b"\t", b"\r", b"\n", b"\r\n", b" " * 9, b"x")), max_size=20
)


@given(pieces)
@settings(max_examples=examples(300))
def test_incremental_quoted_printable_does_not_depend_on_the_pieces(pieces: list[bytes]) -> None:
    decoder = QuotedPrintableDecoder()
    decoded = [decoder.decode(piece) for piece in pieces]
    assert b"".join([*decoded, decoder.finish()]) == decode_transfer(b"".join(pieces), "quoted-printable")


# Python's encoder turns all line ends into the first one, so they are alike.
LINES = st.lists(st.binary(max_size=100).map(lambda octets: octets.replace(b"\n", b"").rstrip(b"\r")), max_size=5)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]))
def test_encoded_octets_are_decoded_to_themselves(lines: list[bytes], line_end: bytes) -> None:
    octets = line_end.join(lines)
    encoded = quopri.encodestring(octets, quotetabs=True)
    assert decode_transfer(encoded, "quoted-printable") == octets


@pytest.mark.parametrize("encoded", [b" " * 3_000_000, b"=" * 3_000_000, b" \t" * 1_000_000 + b"x", b"=\r" * 1_000_000])
def test_long_runs_are_decoded_in_linear_time(encoded: bytes) -> None:
    """Each would take minutes if the decoder copied its pending octets with each piece."""
    decoder = QuotedPrintableDecoder()
    decoded = [decoder.decode(encoded[start : start + 1_000]) for start in range(0, len(encoded), 1_000)]
    assert b"".join([*decoded, decoder.finish()]) == decode_transfer(encoded, "quoted-printable")


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_whatwg_label_has_a_codec(label: str) -> None:
    assert _fold_label(label) in _CODECS


def test_labels_have_text_codecs_only() -> None:
    for codec in {*_CODECS.values()} - {""}:
        assert codecs.lookup(codec)._is_text_encoding


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values()) - {""}))
@given(octets=st.binary(max_size=40), times=st.integers(1, 9))
@settings(max_examples=examples(20))
def test_decoding_in_slices_equals_decoding_at_once(codec: str, octets: bytes, times: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charsets, "SLICE_OCTETS", 16)
        sliced = "".join(decode_slices(octets * times, codec))
    if codec != "utf_7":  # splits a shifted run that is longer than a slice
        assert sliced.lstrip("\ufeff") == (octets * times).decode(codec, "replace").lstrip("\ufeff")


@pytest.mark.parametrize("octets", [b"+AAAA" * 9, b"\xff" * 9, b"+" + b"A" * 99])
def test_utf_7_that_never_shifts_back_is_decoded_in_slices(octets: bytes) -> None:
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
def test_transfer_encodings_are_decoded(encoding: str, encoded: bytes, octets: bytes) -> None:
    assert decode_transfer(encoded, encoding) == octets


@given(st.binary(max_size=60), st.sampled_from(("base64", "quoted-printable", "7bit")))
def test_decoded_octets_are_never_longer(octets: bytes, encoding: str) -> None:
    assert len(decode_transfer(octets, encoding)) <= len(octets)


@pytest.mark.parametrize("codec", ["iso2022_jp_ext", "iso2022_jp_2", "iso2022_kr", "iso2022_jp_2004"])
def test_an_escape_sequence_that_does_not_end_may_cross_a_slice(codec: str) -> None:
    octets = b"a" * (SLICE_OCTETS - 14) + b"\x1b$" + b"(" * 30 + b"z"
    text = decode_charset(octets, codec)
    assert text.startswith("aaa")
    assert text.endswith("z")
