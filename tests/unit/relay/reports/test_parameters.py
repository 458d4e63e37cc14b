"""ENVID and ORCPT, decoded (RFC 3461 §4, RFC 6533 §3)."""

import pytest

from relate_relay.reports.parameters import TypedAddress, decode_orcpt, typed
from relate_relay.xtext import decode_xtext


@pytest.mark.parametrize(
    ("xtext", "text"),
    [
        ("QQ314159", "QQ314159"),
        ("a+2Bb+3Dc", "a+b=c"),
        ("+0D+0A", "\r\n"),
        ("a+", "a+"),
        ("a+2", "a+2"),
        ("+zz", "+zz"),
    ],
)
def test_xtext_is_decoded(xtext: str, text: str) -> None:  # RFC 3461 §4
    assert decode_xtext(xtext) == text


@pytest.mark.parametrize(
    ("orcpt", "expected"),
    [
        ("rfc822;bob+2Btag@example.com", TypedAddress("rfc822", "bob+tag@example.com")),  # RFC 3461 §4.2
        ("RFC822;bob@example.com", TypedAddress("RFC822", "bob@example.com")),
        ("x400;/C=US/", TypedAddress("x400", "/C=US/")),
        (r"utf-8;b\x{F8}b@example.com", TypedAddress("utf-8", "bøb@example.com")),  # RFC 6533 §3
        ("UTF-8;bøb@example.com", TypedAddress("utf-8", "bøb@example.com")),
        (r"utf-8;b\x{FFFFFF}b", TypedAddress("utf-8", r"b\x{FFFFFF}b")),  # copied without alteration
        ("bob@example.com", TypedAddress("unknown", "bob@example.com")),
        ("a b;c", TypedAddress("unknown", "a b;c")),
        (";c", TypedAddress("unknown", ";c")),
    ],
)
def test_an_original_recipient_is_decoded(orcpt: str, expected: TypedAddress) -> None:
    assert decode_orcpt(orcpt) == expected


def test_an_address_has_a_type() -> None:
    assert typed("bob@example.com").type == "rfc822"
    assert typed("bøb@example.com").type == "utf-8"
