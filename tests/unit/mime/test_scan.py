"""The tree of parts: where parts begin and end, for all kinds of boundaries."""

import pytest

from relate_mime import decode_part, index_message
from tests.unit.mime.messages import crlf

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"

CONTENTS = {
    "two parts": (b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", [b"one", b"two"]),
    "bare LF": (b"--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
    "a preamble and an epilogue": (b"see\r\n--b\r\n\r\none\r\n--b--\r\nbye\r\n--b\r\n\r\nno\r\n", [b"one"]),
    "no close delimiter": (b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n", [b"one", b"two\r\n"]),
    "a close delimiter without a line end": (b"--b\r\n\r\none\r\n--b--", [b"one"]),
    "a delimiter without a line end": (b"--b\r\n\r\none\r\n--b", [b"one", b""]),
    "spaces after delimiters": (b"--b \t\r\n\r\none\r\n--b  \r\n\r\ntwo\r\n--b-- \r\n", [b"one", b"two"]),
    "an empty line before a delimiter": (b"--b\r\n\r\none\r\n\r\n--b--\r\n", [b"one\r\n"]),
    "an empty content": (b"--b\r\n\r\n\r\n--b--\r\n", [b""]),
    "a header without a content": (b"--b\r\nX: y\r\n\r\n--b--\r\n", [b""]),
    "an unfinished header": (b"--b\r\nX: y\r\n--b--\r\n", [b""]),
    "adjacent delimiters": (b"--b\r\n--b\r\n\r\none\r\n--b\r\n--b--\r\n", [b"", b"one", b""]),
    "no blank line before the content": (b"--b\r\none, two\r\n--b--\r\n", [b"one, two"]),
    "lines that begin like delimiters": (
        b"--b\r\n\r\n--bc\r\n--b-\r\n--b --\r\n -b\r\n--b--\r\n",
        [b"--bc\r\n--b-\r\n--b --\r\n -b"],
    ),
    "a delimiter within a line": (b"--b\r\n\r\na --b\r\n--b--\r\n", [b"a --b"]),
    "dashes after the close": (b"--b\r\n\r\none\r\n--b---\r\n--b--\r\n", [b"one\r\n--b---"]),
    "a NUL": (b"--b\r\n\r\na\0b\r\n--b--\r\n", [b"a\0b"]),
}


@pytest.mark.parametrize(("body", "contents"), CONTENTS.values(), ids=CONTENTS.keys())
def test_parts_lie_between_delimiters(body: bytes, contents: list[bytes]) -> None:
    raw = MIXED + body
    assert [raw[part.body : part.end] for part in index_message(raw).parts[1:]] == contents


RFC_2046 = crlf("""\
From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
""")


def test_example_of_rfc_2046_section_5_1_1() -> None:
    _, first, second = index_message(RFC_2046).parts
    assert decode_part(RFC_2046, first) == (
        b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    )
    assert decode_part(RFC_2046, second) == (
        b"This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n"
    )
    assert (second.media_type, second.charset, RFC_2046[second.header : second.body]) == (
        "text/plain",
        "us-ascii",
        b"Content-type: text/plain; charset=us-ascii\r\n\r\n",
    )


def types(raw: bytes) -> dict[str, str]:
    return {part.section: part.media_type for part in index_message(raw).parts}


def test_parts_of_a_digest_are_messages_by_default() -> None:
    """RFC 2046 §5.1.5."""
    raw = crlf("""\
Content-Type: multipart/digest; boundary="----- next message ----"

------- next message ----

From: someone-else@example.com
Subject: my opinion

first
------- next message ----
Content-Type: text/plain

second
------- next message ------
""")
    assert types(raw) == {
        "": "multipart/digest",
        "1": "message/rfc822",
        "1.": "text/plain",
        "1.1": "text/plain",
        "2": "text/plain",
    }


def test_part_is_a_message_by_default_only_in_a_digest() -> None:
    body = b"--b\r\n\r\none\r\n--b--\r\n"
    for _ in range(2):
        assert types(MIXED + body)["1"] == "text/plain"
        assert types(MIXED.replace(b"mixed", b"digest") + body)["1"] == "message/rfc822"


NESTED = crlf("""\
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary={inner}

--{inner}
Content-Type: text/plain

plain
--{inner}
Content-Type: text/html

html
--outer
Content-Type: image/png

png
--outer--
""")


@pytest.mark.parametrize("inner", [b"inner", b"outer2", b"oute"])
def test_the_outer_boundary_ends_an_unfinished_multipart(inner: bytes) -> None:
    raw = NESTED.replace(b"{inner}", inner)
    assert types(raw) == {
        "": "multipart/mixed",
        "1": "multipart/alternative",
        "1.1": "text/plain",
        "1.2": "text/html",
        "2": "image/png",
    }
    assert [decode_part(raw, part) for part in index_message(raw).parts[2:]] == [b"plain", b"html", b"png"]


def test_boundary_used_twice_is_the_outer_one() -> None:
    assert types(NESTED.replace(b"{inner}", b"outer")) == {
        "": "multipart/mixed",
        "1": "text/plain",
        "2": "text/plain",
        "3": "text/html",
        "4": "image/png",
    }


OPAQUE = {
    "no boundary": (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\na\r\n", "text/plain"),
    "an empty boundary": (b'Content-Type: multipart/mixed; boundary=" "\r\n\r\n--\r\n\r\na\r\n', "text/plain"),
    "no delimiter": (MIXED + b"hello\r\n", "text/plain"),
    "only a close delimiter": (MIXED + b"--b--\r\n", "text/plain"),
    "no content": (MIXED, "text/plain"),
    "a message in base64": (
        b"Content-Type: message/rfc822; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\nRnJvbTogYQ0K\r\n",
        "application/octet-stream",
    ),
    "a broken type": (b"Content-Type: nonsense\r\n\r\na", "text/plain"),
    "another kind of message": (b"Content-Type: message/delivery-status\r\n\r\na: b\r\n", "message/delivery-status"),
}


@pytest.mark.parametrize(("raw", "media_type"), OPAQUE.values(), ids=OPAQUE.keys())
def test_unparseable_content_is_one_part(raw: bytes, media_type: str) -> None:
    assert types(raw) == {"": media_type, "1": media_type}


def test_a_multipart_has_no_transfer_encoding() -> None:
    raw = b"Content-Transfer-Encoding: base64\r\n" + MIXED + b"--b\r\n\r\none\r\n--b--\r\n"
    message, part = index_message(raw).parts
    assert (message.encoding, part.encoding) == ("7bit", "7bit")


def test_empty_message_has_one_empty_part() -> None:
    assert [(part.section, part.header, part.end) for part in index_message(b"").parts] == [("", 0, 0), ("1", 0, 0)]


def test_type_may_be_folded_and_have_comments() -> None:
    raw = b'Content-Type: multipart/mixed (see\r\n below);\r\n\tboundary="b" (a)\r\n\r\n--b\r\n\r\none\r\n--b--\r\n'
    assert types(raw) == {"": "multipart/mixed", "1": "text/plain"}
