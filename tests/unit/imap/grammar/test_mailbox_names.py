"""Mailbox names in modified UTF-7 and UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.grammar.cursor import Cursor, Malformed
from relate_imap.grammar.mailbox_names import decode, decode_utf7, encode_mailbox, encode_utf7, mailbox, name

UTF7 = [
    ("INBOX", "INBOX"),
    ("A&-B", "A&B"),
    ("&-", "&"),
    ("&-&-", "&&"),
    ("Entw&APw-rfe", "Entwürfe"),
    ("&AOk-", "é"),
    ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 §5.1.3
    ("&2D3eAA-", "😀"),
    ("&AAo-", "\n"),
    ("a b", "a b"),
]


@pytest.mark.parametrize(("encoded", "text"), UTF7)
def test_modified_utf7_round_trip(encoded: str, text: str) -> None:
    assert decode_utf7(encoded) == text
    assert encode_utf7(text) == encoded


@pytest.mark.parametrize(
    "text",
    ["A&B", "&", "a&", "&AOk", "&AO-", "&A-", "&2D0-", "&3gA-", "&AOk/-", "&AOkA-", "&!-", "&AOk-&", "&Jjo!", "&AOk=-"],
)
def test_invalid_utf7_is_unchanged(text: str) -> None:
    assert decode_utf7(text) == text


@pytest.mark.parametrize(
    ("octets", "utf8", "text"),
    [
        (b"&AOk-", False, "é"),
        (b"&AOk-", True, "&AOk-"),
        ("é".encode(), False, "é"),
        ("é".encode(), True, "é"),
        ("é&AOk-".encode(), False, "é&AOk-"),
    ],
)
def test_encoding_is_detected(octets: bytes, utf8: bool, text: str) -> None:
    assert decode(octets, utf8=utf8) == text


@pytest.mark.parametrize("octets", [b"\xe9", b"\xed\xa0\x80", b"\xc0\xaf", b"a\xff"])
def test_undecodable_name_is_rejected(octets: bytes) -> None:
    with pytest.raises(Malformed):
        decode(octets)


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"inbox", "INBOX"),
        (b'"InBox"', "INBOX"),
        (b"iNBOX/sub", "INBOX/sub"),
        (b"inboxes", "inboxes"),
        (b"a/inbox", "a/inbox"),
        (b'"inbox "', "inbox "),
        (b'"\xc4\xb1nbox"', "ınbox"),
        (b'""', ""),
    ],
)
def test_inbox_is_case_insensitive(octets: bytes, name: str) -> None:
    assert mailbox(Cursor(octets)) == name


@pytest.mark.parametrize(("octets", "text"), [(b"*", "*"), (b"&AOk-%", "é%"), (b'"a *"', "a *"), (b"inbox", "inbox")])
def test_patterns_are_decoded(octets: bytes, text: str) -> None:
    assert name(Cursor(octets)) == text


@pytest.mark.parametrize(
    ("name", "utf8", "octets"),
    [
        ("a b", False, b'"a b"'),
        ('a"\\', False, b'"a\\"\\\\"'),
        ("é", False, b'"&AOk-"'),
        ("é", True, '"é"'.encode()),
        ("&", True, b'"&"'),
        ("a\nb", False, b'"a&AAo-b"'),
        ("a\nb", True, b"{3}\r\na\nb"),
        ("", False, b'""'),
    ],
)
def test_names_are_encoded(name: str, utf8: bool, octets: bytes) -> None:
    assert encode_mailbox(name, utf8=utf8) == octets


@given(st.text())
def test_any_name_round_trips(name: str) -> None:
    encoded = encode_utf7(name)

    assert encoded.isascii()
    assert encoded.isprintable()
    assert decode_utf7(encoded) == name
    assert decode(encoded.encode()) == name


@given(st.text(alphabet="&-A,aB+/Ok=é"))
def test_any_decoded_name_can_be_encoded(text: str) -> None:
    decoded = decode_utf7(text)
    assert decode_utf7(encode_utf7(decoded)) == decoded
