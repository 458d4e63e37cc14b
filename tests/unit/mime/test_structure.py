"""BODYSTRUCTURE and BODY (RFC 9051 §7.5.2)."""

import pytest
from hypothesis import given, settings

from relate_mime import index_message, without_extensions
from tests.support.examples import examples
from tests.unit.mime.imap_lists import Item, check_body, read_list
from tests.unit.mime.messages import RFC_9051, crlf, damaged_messages, messages

DIFF = crlf("""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

{text}
--b
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"
Content-ID: <960723163407.20117h@cac.washington.edu>
Content-Description: Compiler diff
Content-Transfer-Encoding: BASE64

{diff}
--b--
""")


def test_examples_of_rfc_9051_section_7_5_2() -> None:
    text = b"x" * 48 + b"\r\n"
    raw = DIFF.replace(b"{text}", text * 22 + b"x" * 50 + b"\r\n").replace(b"{diff}", b"A" * 59 + b"\r\n")
    assert without_extensions(index_message(raw).bodystructure) == (
        b'(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 23)'
        b'("text" "plain" ("charset" "US-ASCII" "name" "cc.diff")'
        b' "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 61 1) "mixed")'
    )


def test_example_of_rfc_9051_section_8() -> None:
    raw = RFC_9051 + (b"x" * 31 + b"\r\n") * 90 + b"x" * 27 + b"\r\n" + b"x" * 27 + b"\r\n"
    assert without_extensions(index_message(raw).bodystructure) == (
        b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 3028 92)'
    )


EVERY_FIELD = b"""\
Content-Type: image/png; name="a \\"b\\""; x=y
Content-Transfer-Encoding: Base64
Content-ID: <a@b>
Content-Description: a =?utf-8?q?b?=
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: Attachment; filename=a.png; size=4
Content-Language: en, de (German)
Content-Location: http://example.org/a.png
"""
EVERY_MEMBER = (
    b'("image" "png" ("name" "a \\"b\\"" "x" "y") "<a@b>" "a =?utf-8?q?b?=" "base64" 4'
    b' "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a.png" "size" "4"))'
    b' ("en" "de") "http://example.org/a.png")'
)

LEAVES = {
    "no header": (b"", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 1 NIL NIL NIL NIL)'),
    "text": (b"Content-Type: text/html\n", b'("text" "html" NIL NIL NIL "7bit" 4 1 NIL NIL NIL NIL)'),
    "no text": (b"Content-Type: IMAGE/PNG\n", b'("image" "png" NIL NIL NIL "7bit" 4 NIL NIL NIL NIL)'),
    "everything": (EVERY_FIELD, EVERY_MEMBER),
    "a disposition without parameters": (
        b"Content-Type: a/b\nContent-Disposition: inline\n",
        b'("a" "b" NIL NIL NIL "7bit" 4 NIL ("inline" NIL) NIL NIL)',
    ),
    "a disposition without a type": (
        b"Content-Type: a/b\nContent-Disposition: ; filename=a\n",
        b'("a" "b" NIL NIL NIL "7bit" 4 NIL NIL NIL NIL)',
    ),
    "8-bit parameters": (
        b"Content-Type: a/b; name=\xc3\xa9\n",
        b'("a" "b" ("name" {2}\r\n\xc3\xa9) NIL NIL "7bit" 4 NIL NIL NIL NIL)',
    ),
    "continuations": (
        b"Content-Type: a/b; name*0=c; name*1=d\n",
        b'("a" "b" ("name" "cd") NIL NIL "7bit" 4 NIL NIL NIL NIL)',
    ),
    "empty fields": (
        b"Content-Type:\nContent-Transfer-Encoding:\nContent-Language:\nContent-ID:\n",
        b'("text" "plain" ("charset" "us-ascii") "" NIL "7bit" 4 1 NIL NIL NIL NIL)',
    ),
    "a multipart without parts": (
        b"Content-Type: multipart/mixed; boundary=b\n",
        b'("text" "plain" ("boundary" "b") NIL NIL "7bit" 4 1 NIL NIL NIL NIL)',
    ),
}


@pytest.mark.parametrize(("header", "expected"), LEAVES.values(), ids=LEAVES.keys())
def test_leaves_are_encoded(header: bytes, expected: bytes) -> None:
    bodystructure = index_message(header + b"\n" + b"abc\n").bodystructure
    assert bodystructure == expected
    check_body(read_list(bodystructure))


FORWARDED = crlf("""\
Content-Type: multipart/mixed; boundary=b
Content-Disposition: inline
Content-Language: fr

--b
Content-Type: message/rfc822

From: a@b
Subject: (1 "2" {3}
Content-Type: multipart/alternative; boundary=c

--c

plain
--c
Content-Type: text/html

html
--c--

--b--
""")

INNER_ENVELOPE = (
    b'(NIL "(1 \\"2\\" {3}" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
)


def test_message_parts_have_envelope_body_and_lines() -> None:
    bodystructure = index_message(FORWARDED).bodystructure
    check_body(read_list(bodystructure))
    assert bodystructure == (
        b'(("message" "rfc822" NIL NIL NIL "7bit" 142 ' + INNER_ENVELOPE + b" "
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        b'("text" "html" NIL NIL NIL "7bit" 4 0 NIL NIL NIL NIL)'
        b' "alternative" ("boundary" "c") NIL NIL NIL) 12 NIL NIL NIL NIL)'
        b' "mixed" ("boundary" "b") ("inline" NIL) ("fr") NIL)'
    )


def test_body_is_the_structure_without_extensions() -> None:
    assert without_extensions(index_message(FORWARDED).bodystructure) == (
        b'(("message" "rfc822" NIL NIL NIL "7bit" 142 ' + INNER_ENVELOPE + b" "
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("text" "html" NIL NIL NIL "7bit" 4 0) "alternative") 12) "mixed")'
    )


def test_body_keeps_literals_that_resemble_structure() -> None:
    raw = b'Content-Type: image/png; name="\xff) (\\""\nContent-Description: ) "(\n\nabc\n'
    assert without_extensions(index_message(raw).bodystructure) == (
        b'("image" "png" ("name" {5}\r\n\xff) (") NIL ") \\"(" "7bit" 4)'
    )


def without(body: Item) -> Item:
    """BODY from BODYSTRUCTURE, both as parsed lists."""
    assert isinstance(body, list)
    if isinstance(body[0], list):
        parts = [part for part in body if isinstance(part, list)][: multiparts_length(body)]
        return [*map(without, parts), body[len(parts)]]
    if body[0] == b"message" and body[1] in (b"rfc822", b"global"):
        return [*body[:8], without(body[8]), body[9]]
    return body[: 8 if body[0] == b"text" else 7]


def multiparts_length(body: list[Item]) -> int:
    return next(index for index, member in enumerate(body) if not isinstance(member, list))


@given(messages | damaged_messages)
@settings(max_examples=examples(200))
def test_body_of_any_message_is_the_structure_without_extensions(raw: bytes) -> None:
    bodystructure = index_message(raw).bodystructure
    assert read_list(without_extensions(bodystructure)) == without(read_list(bodystructure))


PARTS = {
    "plain": b"\r\n\r\nx\r\n",
    "literals": b"\r\nContent-Type: a/b; x=\xff; y=\xfe\r\nContent-ID: \xff\r\n\r\nx\r\n",
    "messages": b"\r\nContent-Type: message/rfc822\r\n\r\nSubject: \xff\r\nTo: a@b, c: d@e;\r\n\r\nx\r\n",
    "every field": b"\r\n" + EVERY_FIELD.replace(b"\n", b"\r\n") + b"\r\nx\r\n",
    "resembling structure": b'\r\nContent-Type: a/b; x="(\\"text\\" NIL)"\r\nContent-ID: ") NIL ("\r\n\r\nx\r\n',
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_body_of_very_many_parts(part: bytes) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b" + part) * 3_000 + b"--b--"
    bodystructure = index_message(raw).bodystructure
    assert read_list(without_extensions(bodystructure)) == without(read_list(bodystructure))
