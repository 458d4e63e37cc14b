"""Encoded words (RFC 2047), valid and as in real mail."""

import pytest

from relate_mime import decode_header
from relate_mime.charsets import MAX_TEXT_CHARACTERS

RFC_2047_SECTION_2_AND_8 = [
    (b"=?iso-8859-1?q?this=20is=20some=20text?=", "this is some text"),
    (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
    (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"),
    (b"=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>", "André Pirard <PIRARD@vm1.ulg.ac.be>"),
    (
        b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example.",
    ),
    (b"=?ISO-8859-1?Q?Olle_J=E4rnefors?= <ojarnef@admin.kth.se>", "Olle Järnefors <ojarnef@admin.kth.se>"),
    (b"=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?= <paf@nada.kth.se>", "Patrik Fältström <paf@nada.kth.se>"),
    (b"(=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)", "(םולש ןב ילטפנ)"),
    (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
    (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
]

OTHERS = [
    (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),  # the language of RFC 2231 §5
    (b"plain", "plain"),
    (b"a =?x", "a =?x"),
    (b"a =?utf-8?x?b?= c", "a =?utf-8?x?b?= c"),
    (b"=?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?=", "€"),  # a character in two words
    (b"=?UTF-8?b?4oI=?= =?utf-8?q?=AC?=", "€"),
    (b"=?utf-8?Q?a b?=", "a b"),  # space inside a word
    (b"=?utf-8?Q??=", ""),
    (b'"=?utf-8?Q?J=C3=B6rg?="', '"Jörg"'),
    (b"=?utf-8?q?=zz=4?=", "=zz=4"),
    (b"=?utf-8?b?SGFsbG8?=", "Hallo"),  # without padding
    (b"=?utf-8?b?SGFsbG8=====?=", "Hallo"),
    (b"=?utf-8?b?A?=", ""),
    (b"=?x-nobody-knows?q?a=C3=A9?=", "aé"),
    (b"=?zlib?q?a?=", "a"),
    (b"=?gb2312?b?xOO6ww==?=", "你好"),
    (b"=?windows-1252?q?=80?=", "€"),
    (b"=?iso-8859-1?q?=93hi=94?=", "“hi”"),
    (b"=?us-ascii?q?=C3=A9?=", "é"),
    (b"=?utf-8?q?=FF?=", "\ufffd"),
    (b"=?utf-8?q?a=0Ab=00c?=", "a b c"),
    (b"=?utf-7?q?+2AA-?=", " "),  # a lone surrogate
    (b"\xc3\xa9t\xc3\xa9", "été"),
    (b"\xe9t\xe9", "été"),
    (b"\xc3\xa9 =?iso-8859-1?q?=E9?= \xe8", "é é è"),
    (b"a\r\n\tb", "a b"),
    (b"a\0b", "a b"),
]


@pytest.mark.parametrize(("value", "text"), RFC_2047_SECTION_2_AND_8)
def test_examples_of_the_rfc_are_decoded(value: bytes, text: str) -> None:
    assert decode_header(value) == text


@pytest.mark.parametrize(("value", "text"), OTHERS)
def test_malformed_words_of_real_mail_are_decoded(value: bytes, text: str) -> None:
    assert decode_header(value) == text


def test_long_values_are_truncated() -> None:
    assert decode_header(b"a" * (MAX_TEXT_CHARACTERS + 1)) == "a" * MAX_TEXT_CHARACTERS
