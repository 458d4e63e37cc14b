"""ENVELOPE (RFC 9051 §7.5.2)."""

import pytest

from relate_mime import index_message
from relate_mime.strings import encode_nstring, encode_string
from tests.unit.mime.imap_lists import read_list
from tests.unit.mime.messages import RFC_9051


def test_example_of_rfc_9051_section_8() -> None:
    assert index_message(RFC_9051).envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes"'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        b' ((NIL NIL "imap" "cac.washington.edu"))'
        b' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
        b' NIL NIL "<B27397-0100000@cac.washington.edu>")'
    )


MEMBERS = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
A_B, C_D = [None, None, b"a", b"b"], [None, None, b"c", b"d"]

ENVELOPES = {
    "nothing": (b"", {}),
    "sender and reply-to default to from": (b"From: a@b\n", {"from": [A_B], "sender": [A_B], "reply-to": [A_B]}),
    "distinct sender and reply-to": (
        b"From: a@b\nSender: c@d\nReply-To: c@d, a@b\n",
        {"from": [A_B], "sender": [C_D], "reply-to": [C_D, A_B]},
    ),
    "empty sender and reply-to default to from": (
        b"From: a@b\nSender:\nReply-To: \n",
        {"from": [A_B], "sender": [A_B], "reply-to": [A_B]},
    ),
    "empty lists are NIL": (b"From:\nTo:\nCc: ,\nBcc: (nobody)\n", {}),
    "empty texts are empty": (
        b"Date:\nSubject: \nIn-Reply-To:\nMessage-ID:\n",
        {"date": b"", "subject": b"", "in-reply-to": b"", "message-id": b""},
    ),
    "encoded words stay": (b"Subject: =?utf-8?q?=E2=82=AC?=\n", {"subject": b"=?utf-8?q?=E2=82=AC?="}),
    "8-bit octets stay": (b"Subject: \xe2\x82\xac \xff\n", {"subject": b"\xe2\x82\xac \xff"}),
    "folds are undone": (b"Subject: a\r\n b\n\tc\n", {"subject": b"a b\tc"}),
    "quotes and backslashes": (b'Subject: a "b" \\c\n', {"subject": b'a "b" \\c'}),
    "NUL is a space": (b"Subject: a\0b\n", {"subject": b"a b"}),
    "a lone CR": (b"Subject: a\rb\n", {"subject": b"a\rb"}),
    "a group": (
        b"To: G: a@b, c@d;\n",
        {"to": [[None, None, b"G", None], A_B, C_D, [None, None, None, None]]},
    ),
    "a route": (b"To: <@x,@y:a@b>\n", {"to": [[None, b"@x,@y", b"a", b"b"]]}),
    "several fields of destinations": (b"To: a@b\nTo: c@d\n", {"to": [A_B, C_D]}),
    "an address without a domain is no group": (b"To: a\n", {"to": [[None, None, b"a", b""]]}),
    "bcc is included": (b"Bcc: a@b\n", {"bcc": [A_B]}),
}


@pytest.mark.parametrize(("header", "members"), ENVELOPES.values(), ids=ENVELOPES.keys())
def test_envelopes_are_encoded(header: bytes, members: dict[str, object]) -> None:
    envelope = read_list(index_message(header + b"\n").envelope)
    assert dict(zip(MEMBERS, envelope, strict=True)) == dict.fromkeys(MEMBERS) | members


@pytest.mark.parametrize(
    ("octets", "encoded"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        (b"a\tb", b'"a\tb"'),
        (b"\xc3\xa9", b"{2}\r\n\xc3\xa9"),
        (b'"\xff"', b'{3}\r\n"\xff"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0", b"{2}\r\na "),
        (b"\x1b", b"{1}\r\n\x1b"),
        (None, b"NIL"),
        (b"NIL", b'"NIL"'),
    ],
)
def test_strings_are_quoted_if_possible(octets: bytes | None, encoded: bytes) -> None:
    assert encode_nstring(octets) == encoded
    if octets is not None:
        assert encode_string(octets) == encoded
