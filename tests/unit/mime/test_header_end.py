"""The end of a header that has non-field lines or no blank line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import header_fields, index_message
from relate_mime.fields import GARBAGE_LIMIT_OCTETS, HEADER_LIMIT_OCTETS, header_end
from tests.support.examples import examples
from tests.unit.mime.messages import crlf

TRACE = crlf("""\
Return-Path: <a@ex.example>
Received: from mx.example by localhost;
\tMon, 02 Mar 2026 10:00:00 +0100
""")

GARBAGE = {
    "an mbox separator": b"From a@ex.example Fri Feb 14 08:55:52 2014",
    "a quoted mbox separator": b">From a@ex.example Fri Feb 14 08:55:52 2014",
    "octets": b"\xff\xfe\x01\x02 no colon here",
    "a NUL": b"\0\0\0",
    "a space in the name": b"quite Delivered-To: x@y.example",
    "8-bit in the name": b"Betreff f\xc3\xbcr: x",
    "an unindented continuation": b'Form - Week 11.pdf"',
    "an unindented continuation with an address": b"bob@ex.example, carl@ex.example",
    "a line without a colon": b"X-Mailer",
    "no name": b": a value",
    "a status line": b"HTTP/1.1 200 OK",
    "a folded line that is no field": b"no field\r\n\tat all",
    "prose": b"This line was put in by a gateway",
    "several": b"one line\r\nanother line\r\na third one",
    "a delimiter of something else": b"== begin ==",
    "a lone CR": b"\rx",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_lines_that_are_no_field_are_skipped(garbage: bytes, line_end: bytes) -> None:
    before = TRACE + b"From: Ann <ann@ex.example>\r\n"
    after = b"Subject: after\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
    raw = (before + garbage + b"\r\n" + after).replace(b"\r\n", line_end)
    index = index_message(raw)
    assert (index.subject, index.sender.address, index.parts[0].media_type) == ("after", "ann@ex.example", "text/html")
    assert raw[index.parts[0].body :].startswith(b"<b>")


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_they_are_skipped_in_the_header_of_a_part_too(garbage: bytes) -> None:
    header = b'Content-Type: application/pdf; name="a\r\n%b\r\nContent-Transfer-Encoding: base64\r\n\r\n' % garbage
    raw = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n" + header + b"JVBERi0=\r\n--q--\r\n"
    part = index_message(raw).parts[1]
    assert (part.media_type, part.encoding, part.end - part.body) == ("application/pdf", "base64", 8)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_they_are_skipped_at_the_start_of_an_embedded_message(garbage: bytes) -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\n" + garbage + b"\r\nSubject: inner\r\nFrom: a@b\r\n\r\nx"
    inner = index_message(raw).parts[2]
    assert raw[inner.body : inner.end] == b"x"
    assert b'"inner"' in index_message(raw).bodystructure


@pytest.mark.parametrize("before", [b"", TRACE, b"X: y\r\n"])
def test_byte_order_mark_is_no_part_of_a_name(before: bytes) -> None:
    index = index_message(before + b"\xef\xbb\xbfSubject: bom\r\nFrom: a@b\r\n\r\nx")
    assert (index.subject, index.sender.address) == ("bom", "a@b")


BODIES = {
    "a delimiter": b"--b\r\nContent-Type: text/plain\r\n\r\nbody text\r\n--b--\r\n",
    "a preamble": b"This is a multi-part message.\r\n--b\r\nContent-Type: text/plain\r\n\r\nbody\r\n--b--\r\n",
    "a preamble with a colon": b"This text: is a preamble\r\n--b\r\nSubject: x\r\nX-Y: z\r\n\r\nbody\r\n--b--\r\n",
    "prose": b"Hello Bob,\r\nsee you\r\n\r\nAnn\r\n",
    "prose with colons": b"Hello Bob,\r\nTime: 12:00\r\nPlace: Berlin\r\n\r\nsee you\r\n",
    "a list": b"Please buy,\r\nMilk: 2\r\nFollow-up: none\r\nhttp://example.org/\r\n\r\n",
    "a quoted header": b"Bob wrote to me\r\n> From: Bob <bob@ex.example>\r\n> Subject: other\r\n\r\nyes\r\n",
    "a header that is quoted in full": b"He wrote this\r\nFrom: Bob\r\nTo: Ann\r\nSubject: other\r\nDate: now\r\n\r\n",
    "an original message": b"See below\r\n-----Original Message-----\r\nX-From: Bob\r\nSubject: other\r\n\r\n",
    "a signature": b"Yes to that\r\n-- \r\nX-Ray: no\r\n\r\n",
    "an mbox separator": b"From here on it is text\r\nand more\r\n\r\n",
    "a long text": b"a text\r\n" * 20_000 + b"X-Late: field\r\n\r\n",
    "base64": b"JVBERi0xLjQKJdPr6eEKMSAwIG9iago8PC9UaXRsZSAoYSkK\r\nPj4K\r\n\r\n",
    "8-bit text": b"Sch\xc3\xb6ne Gr\xc3\xbc\xc3\x9fe\r\nDatum: heute\r\n\r\n",
}
HEADER = TRACE + crlf("""\
From: Ann <ann@ex.example>
To: b@ex.example
Date: Mon, 02 Mar 2026 10:00:00 +0100
MIME-Version: 1.0
Subject: guard
Content-Type: multipart/alternative; boundary=b
""")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_without_a_blank_line_is_found(body: bytes) -> None:
    assert header_end(HEADER + body, 0, len(HEADER + body)) == len(HEADER)
    index = index_message(HEADER + body)
    assert (index.subject, index.sender.address) == ("guard", "ann@ex.example")


@pytest.mark.parametrize(
    "body",
    [
        b"Hello\r\nFrom: Bob\r\nSubject: hi\r\n\r\nquoted",
        b"Hello\r\nReceived: nothing\r\nList-Id: x\r\n\r\nquoted",
        b"Hello\r\nContent-Type: text/html\r\n\r\nquoted",
        b"Hello, no blank line at all",
    ],
)
def test_body_of_a_part_without_a_blank_line_is_found(body: bytes) -> None:
    """A part's header has Content-… fields only (RFC 2046 §5.1), each once."""
    raw = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n" + body + b"\r\n--q--"
    part = index_message(raw).parts[1]
    assert raw[part.body : part.end] == body


def test_garbage_beyond_the_limit_is_body() -> None:
    for octets, found in ((GARBAGE_LIMIT_OCTETS - 100, "b"), (GARBAGE_LIMIT_OCTETS + 100, "")):
        raw = b"From: a@b\r\n" + b"no field\r\n" * (octets // 10) + b"Subject: b\r\n\r\n"
        assert index_message(raw).subject == found


def test_fields_at_the_end_of_a_mebibyte_of_header_are_found() -> None:
    filler = b"".join(b"X-%d: %b\r\n" % (number, b"y" * number) for number in range(1_400))
    filler += b"X: y\r\n" * ((HEADER_LIMIT_OCTETS - 4_096 - len(filler)) // 6)
    late = b"Subject: late\r\nContent-Type: text/html\r\nTo: a@b.example\r\n\r\n"
    index = index_message(filler + late)
    assert (index.subject, index.parts[1].media_type, index.to[0].address) == ("late", "text/html", "a@b.example")
    part = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n" + filler + late + b"x\r\n--q--\r\n"
    assert index_message(part).parts[1].media_type == "text/html"


def test_many_fields_of_one_name_are_joined() -> None:
    index = index_message(b"".join(b"To: a%d@b.example\r\n" % number for number in range(900)) + b"\r\n")
    assert len(index.to) == 900


lines = st.sampled_from(
    (
        b"Subject: a",
        b"From: b",
        b" c",
        b"\t",
        b"",
        b"no field",
        b"--",
        b"--b",
        b"X: y",
        b"Note: z",
        b"\xef\xbb\xbfTo: d",
    )
)


@given(st.lists(lines, max_size=12), st.sampled_from((b"\r\n", b"\n")), st.booleans())
@settings(max_examples=examples(200))
def test_header_ends_at_the_beginning_of_a_line(lines: list[bytes], line_end: bytes, in_multipart: bool) -> None:
    raw = line_end.join(lines)
    end = header_end(raw, 0, len(raw), in_multipart=in_multipart)
    assert end in (0, len(raw)) or raw[end - 1 : end] == b"\n"
    assert all(field.span[1] <= end for field in header_fields(raw, 0, end))
    assert header_end(raw, 0, end, in_multipart=in_multipart) == end
