"""Headers: their end, the offsets and values of their fields."""

import pytest

from relate_mime import header_fields
from relate_mime.fields import (
    HEADER_LIMIT_OCTETS,
    collect_fields,
    comment_end,
    header_end,
    strip_comments,
    unfold,
)

HEADERS = {
    "a blank line": (b"A: b\r\n\r\n", b"text\r\n"),
    "a blank line with bare LF": (b"A: b\n\n", b"text\n"),
    "both kinds of line end": (b"A: b\r\n\n", b"text"),
    "nothing": (b"", b""),
    "a blank line first": (b"\r\n", b"text"),
    "no header at all": (b"", b"Hello there\r\n\r\nyou\r\n"),
    "no separator": (b"A: b\r\n", b"Hello there\r\n"),
    "no body": (b"A: b\r\nC: d\r\n", b""),
    "no line end": (b"A: b", b""),
    "a folded field": (b"A: b\r\n c\r\n\td\r\n\r\n", b"text"),
    "a line of spaces in a field": (b"A: b\r\n \r\n c\r\n\r\n", b"text"),
    "a name without a value": (b"A:\r\n\r\n", b"text"),
    "a space before the colon": (b"A : b\r\n\r\n", b"text"),
    "8-bit octets": (b"Subject: \xc3\xa9\xff\r\n\r\n", b"text"),
    "NUL in a value": (b"Subject: a\0b\r\n\r\n", b"text"),
    "a lone CR in a value": (b"Subject: a\rb\r\n\r\n", b"text"),
    "the separator line of an mbox file": (b"From a@b Mon Jan  1 00:00:00 2024\r\nA: b\r\n\r\n", b"text"),
}


@pytest.mark.parametrize(("header", "body"), HEADERS.values(), ids=HEADERS.keys())
def test_header_ends_where_the_body_begins(header: bytes, body: bytes) -> None:
    before = b"--b\r\n"
    raw = before + header + body
    assert header_end(raw, len(before), len(raw)) == len(before + header)


def test_header_ends_within_its_part() -> None:
    assert header_end(b"A: b\r\nC: d\r\n\r\n", 0, 6) == 6


def test_fields_are_in_order_with_their_spans() -> None:
    raw = b"Received: one\r\nSubject: a\r\n b\r\nreceived : two \r\n\r\nX: body\r\n"
    body = header_end(raw, 0, len(raw))
    fields = list(header_fields(raw, 0, body))
    assert [(field.name, field.value) for field in fields] == [
        (b"Received", b"one"),
        (b"Subject", b"a\r\n b"),
        (b"received", b"two"),
    ]
    assert b"".join(raw[start:end] for _, _, (start, end) in fields) == raw[: body - 2]


def test_fields_of_an_unfinished_header_end_with_it() -> None:
    assert [field.span for field in header_fields(b"A: b\nC: d", 0, 9)] == [(0, 5), (5, 9)]


def test_lines_that_are_no_field_are_skipped() -> None:
    raw = b"From me Mon Jan 1 10:00:00 2024\n: empty\nA: b\n"
    assert [field.name for field in header_fields(raw, 0, len(raw))] == [b"A"]


def test_first_field_of_a_name_counts() -> None:
    fields = collect_fields(b"Content-Type: text/html\r\ncontent-type: text/plain\r\nSUBJECT: a\r\nSubject: b\r\n")
    assert {name: value.strip() for name, value in fields.items()} == {
        b"content-type": b"text/html",
        b"subject": b"a",
    }


def test_repeated_destinations_are_joined() -> None:
    """RFC 5322 §4.5.3."""
    fields = collect_fields(b"To: a@b\nCc: c@d\nTo: e@f\n")
    assert fields == {b"to": b"a@b,e@f", b"cc": b"c@d"}


def test_fields_after_many_others_are_found() -> None:
    header = b"".join(b"X-%d: a\r\n" % number for number in range(60_000)) + b"Subject: b\r\n"
    assert HEADER_LIMIT_OCTETS // 2 < len(header) < HEADER_LIMIT_OCTETS
    assert collect_fields(header) == {b"subject": b"b\r"}


@pytest.mark.parametrize(
    ("folded", "unfolded"),
    [
        (b" a \r\n", b"a"),
        (b"This\r\n is a test", b"This is a test"),  # RFC 5322 §2.2.3
        (b"a\n\tb", b"a\tb"),
        (b"a\r\n \r\n b", b"a  b"),
        (b"", b""),
    ],
)
def test_unfolding_removes_line_ends_only(folded: bytes, unfolded: bytes) -> None:
    assert unfold(folded) == unfolded


@pytest.mark.parametrize(
    ("value", "stripped"),
    [
        (b"text/plain", b"text/plain"),
        (b"text/plain (plain; text)", b"text/plain  "),
        (b"a (b (c) d) e", b"a   e"),
        (b'"a (b)" (c)', b'"a (b)"  '),
        (b"a (b \\) c) d", b"a   d"),
        (b"a (it's 6\" long) b", b"a   b"),
        (b"a (never closed", b"a "),
        (b'"never closed (a)', b'"never closed (a)'),
        (b"(a)(b)", b"  "),
    ],
)
def test_comments_are_replaced_by_space(value: bytes, stripped: bytes) -> None:
    assert strip_comments(value).split() == stripped.split()


@pytest.mark.parametrize(
    ("value", "end"), [(b"(a)b", 3), (b"(a(b)c)d", 7), (b"(a\\)b)c", 6), (b"(a", None), (b"(a()", None), (b"(", None)]
)
def test_comments_nest(value: bytes, end: int | None) -> None:
    assert comment_end(value, 0) == end
