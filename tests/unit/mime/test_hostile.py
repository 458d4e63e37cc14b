"""Any octets have a valid index, computed in linear time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import (
    MessageIndex,
    Part,
    decode_header,
    decode_part,
    header_fields,
    index_message,
    parse_addresses,
    parse_date,
    part_text,
    without_extensions,
)
from relate_mime.fields import HEADER_LIMIT_OCTETS
from relate_mime.scan import HEADERS_LIMIT_OCTETS, MAX_LEVELS, MAX_PARTS
from tests.support.examples import examples
from tests.unit.mime.imap_lists import check_body, check_envelope, read_list
from tests.unit.mime.messages import damaged_messages, messages

ALPHABET = (b"a", b"b", b":", b" ", b"\r\n", b"\n", b"--", b'"', b"(", b")", b"<", b">", b"@", b",", b";", b"=", b"\\")
NAMES = (b"Content-Type: ", b"multipart/mixed; boundary=", b"message/rfc822", b"To: ", b"Subject: ", b"Date: ")
header_like_octets = st.lists(st.sampled_from((*ALPHABET, *NAMES, b"\0", b"\xc3\xa9")), max_size=60).map(b"".join)


def check_index(raw: bytes, index: MessageIndex) -> None:
    assert index.size == len(raw)
    check_envelope(read_list(index.envelope))
    check_body(read_list(index.bodystructure))
    check_offsets(raw, index.parts)
    for text in stored_texts(index):
        assert "\0" not in text
        text.encode()
    assert len(index.preview) <= 256
    assert "\n" not in index.preview
    assert read_list(without_extensions(index.bodystructure))


def stored_texts(index: MessageIndex) -> list[str]:
    addresses = [index.sender, *index.to, *index.cc]
    parts = [text for part in index.parts for text in (part.media_type, part.encoding, part.charset, part.filename)]
    texts = [index.subject, index.header_message_id, *index.references, index.preview]
    return [*texts, *parts, *(text for address in addresses for text in address)]


def check_offsets(raw: bytes, parts: tuple[Part, ...]) -> None:
    """Every part lies within the content of its parent and after its predecessor."""
    by_section = {part.section: part for part in parts}
    assert len(by_section) == len(parts)
    assert (parts[0].section, parts[0].header, parts[0].end) == ("", 0, len(raw))
    ends: dict[str, int] = {}
    for part in parts[1:]:
        parent = enclosing(part.section, by_section)
        if is_only_part(part, parent):
            assert (part.header, part.body, part.end) == (parent.header, parent.body, parent.end)
            continue
        assert max(parent.body, ends.get(parent.section, 0)) <= part.header <= part.body <= part.end <= parent.end
        ends[parent.section] = part.end


def enclosing(section: str, by_section: dict[str, Part]) -> Part:
    """For "3." the part "3"; for "3.1" the message "3." if there is one, else the multipart "3"."""
    if section.endswith("."):
        return by_section[section[:-1]]
    prefix = section[: section.rfind(".") + 1]
    return by_section.get(prefix) or by_section[prefix[:-1]]


def is_only_part(part: Part, parent: Part) -> bool:
    """Whether `parent` is a message that is no multipart, and `part` its text."""
    is_message = parent.section == "" or parent.section.endswith(".")
    return is_message and not parent.media_type.startswith("multipart/") and not part.section.endswith(".")


@given(st.binary(max_size=300))
def test_any_octets_have_a_valid_index(raw: bytes) -> None:
    check_index(raw, index_message(raw))


@given(header_like_octets)
def test_header_like_octets_have_a_valid_index(raw: bytes) -> None:
    check_index(raw, index_message(raw))


@given(messages)
@settings(max_examples=examples(50))
def test_valid_messages_have_a_valid_index(raw: bytes) -> None:
    check_index(raw, index_message(raw))


@given(damaged_messages)
def test_damaged_messages_have_a_valid_index_and_readable_parts(raw: bytes) -> None:
    index = index_message(raw)
    check_index(raw, index)
    for part in index.parts:
        decode_part(raw, part)
        part_text(raw, part).encode()


@given(st.one_of(st.binary(max_size=80), header_like_octets))
def test_no_value_makes_a_parser_raise(value: bytes) -> None:
    decode_header(value).encode()
    parse_addresses(value)
    parse_date(value)
    for name, _, (start, end) in header_fields(value, 0, len(value)):
        assert value[start:end].removeprefix(b"\xef\xbb\xbf").startswith(name)


def multipart(boundary: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n" % boundary


def levels(count: int) -> bytes:
    return b"".join(multipart(b"b%d" % level) + b"--b%d\r\n" % level for level in range(count))


PICTURE_AND_HTML = (
    b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: image/png\r\nContent-ID: <a>\r\n"
    b"Content-Location: b\r\n\r\nx\r\n--q\r\nContent-Type: text/html\r\n\r\n"
)
QUOTED_PRINTABLE = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"

# Each would take minutes, or all memory, if anything in the package were quadratic.
HOSTILE = {
    "delimiter lines": multipart(b"b") + b"--b\r\n" * 100_000,
    "lines that are nearly delimiters": multipart(b"b") + b"--b!\r\n" * 100_000,
    "delimiters with long tails": multipart(b"b") + (b"--b" + b" " * 1_000 + b"!\r\n") * 1_000,
    "levels of multiparts": levels(5_000) + b"\n--b" * 100_000,
    "levels of multiparts over a large body": levels(500) + b"x" * 5_000_000,
    "levels of messages": b"Content-Type: message/rfc822\r\n\r\n" * 5_000 + b"a\n" * 500_000,
    "a digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\nTo: a\r\n\r\nb\r\n" * 50_000,
    "one long header line": b"Subject: " + b"a" * 1_000_000,
    "one long field name": b"a" * 1_000_000,
    "a name and spaces": b"a" + b" " * 1_000_000,
    "many fields of one name": b"To: a@b\r\n" * 100_000,
    "many folds": b"Subject: a\r\n" + b" b\r\n" * 100_000,
    "many addresses": b"To: " + b"a@b, " * 100_000,
    "nested comments": b"To: " + b"(" * 100_000 + b")" * 100_000,
    "many comments": b"Content-Type: text/plain" + b"(a)" * 100_000,
    "groups in groups": b"To: " + b"a:" * 100_000,
    "angle brackets": b"To: " + b"<" * 100_000,
    "a long route": b"To: <" + b"@a," * 100_000 + b":b@c>",
    "quotes": b"To: " + b'"' * 100_001,
    "escaped quotes": b'Content-Type: text/plain; a="' + b'\\"' * 100_000,
    "open quotes in parameters": b"Content-Type: text/plain" + b';a="' * 100_000,
    "escaped quotes in parameters": b"Content-Type: text/plain" + b';a="\\"' * 100_000,
    "continuations": b"Content-Type: text/plain" + b"".join(b"; a*%d=b" % number for number in range(20_000)),
    "encoded words that do not end": b"Subject: " + b"=?a?q?" * 100_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 100_000,
    "a date of spaces": b"Date: Mon" + b" " * 1_000_000,
    "references that do not end": b"References: " + b"<" * 1_000_000,
    "open style sheets": b"Content-Type: text/html\r\n\r\n" + b"<style>" * 100_000,
    "lines that are no field, and fields": b"x\r\nX-a:\r\n" * 100_000,
    "lines that are no field": b"Subject: a\r\n" + b"x\r\n" * 500_000,
    "repeated fields": b"Subject: a\r\nx\r\n" + b"Subject:\r\n" * 100_000,
    "fields of two octets": b"a:\n" * 300_000,
    "a quote that is never closed": b'To: "' + b'\\"<@> ' * 100_000,
    "quotes that only a later name closes": b"To: " + b'"<a@b>, "c ' * 50_000,
    "comments that are never closed": b"To: " + b"(a " * 100_000,
    "possible names": b"To: " + b"a, " * 100_000,
    "words and dots": b"To: " + b"a . " * 100_000 + b"@b",
    "addresses in one pair of brackets": b"To: <" + b"a@b " * 100_000,
    "brackets without commas": b"To: " + b"a <b@c> " * 100_000,
    "parentheses in file names": b"Content-Type: a/b" + b";name=a(b" * 100_000,
    "a date of dates": b"Date: " + b"1 jan 2024 1:1 " * 100_000,
    "references to parts": PICTURE_AND_HTML + b"cid:&a%40 " * 100_000,
    "attributes": PICTURE_AND_HTML + b"=a " * 300_000,
    "white space in quoted-printable": QUOTED_PRINTABLE + b" " * 2_000_000,
    "line ends in quoted-printable": QUOTED_PRINTABLE + b" \n" * 1_000_000,
    "equals signs in quoted-printable": QUOTED_PRINTABLE + b"=" * 2_000_000,
    "parts of white space": multipart(b"b") + (b"--b\r\n\r\n" + b" " * 400 + b"\r\n") * 20_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear_in_the_size(raw: bytes) -> None:
    index = index_message(raw)
    assert index.size == len(raw)
    assert len(index.parts) <= 2 * MAX_PARTS  # an embedded message is listed in addition to its part
    assert without_extensions(index.bodystructure)
    assert decode_part(raw, index.parts[-1]) is not None


def test_levels_beyond_the_limit_are_one_opaque_part() -> None:
    index = index_message(levels(MAX_LEVELS + 50) + b"\r\nhello")
    innermost = index.parts[-1]
    assert innermost.section == ".".join("1" * MAX_LEVELS)
    assert innermost.media_type == "text/plain"
    check_body(read_list(index.bodystructure))


def test_last_part_within_the_limit_extends_to_the_end() -> None:
    raw = multipart(b"b") + b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 10) + b"--b--\r\n"
    parts = index_message(raw).parts
    assert len(parts) == MAX_PARTS
    assert parts[-1].end == len(raw)


def test_headers_beyond_the_limit_are_ignored() -> None:
    part = b"--b\r\nX: %b\r\nContent-Type: text/html\r\n\r\na\r\n" % (b"x" * (HEADER_LIMIT_OCTETS // 2))
    index = index_message(multipart(b"b") + part * (2 * HEADERS_LIMIT_OCTETS // len(part)) + b"--b--\r\n")
    types = [part.media_type for part in index.parts[1:]]
    parsed = types.index("text/plain")
    assert parsed == HEADERS_LIMIT_OCTETS // len(part)
    assert set(types[parsed:]) == {"text/plain"}


def test_a_field_beyond_the_limit_of_its_header_is_not_parsed() -> None:
    raw = b"Subject: a\r\nX: %b\r\nTo: a@b\r\n\r\ntext" % (b"x" * HEADER_LIMIT_OCTETS)
    index = index_message(raw)
    assert (index.subject, index.to) == ("a", ())
    assert raw[index.parts[0].body :] == b"text"
