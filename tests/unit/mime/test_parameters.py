"""Content-Type and Content-Disposition: types, parameters, RFC 2231."""

import pytest

from relate_mime.parameters import (
    VALUE_LIMIT_OCTETS,
    MediaType,
    parameter_octets,
    parameter_text,
    parse_disposition,
    parse_keyword,
    parse_media_type,
)

MEDIA_TYPES = [
    (b"text/plain", (b"text", b"plain", {})),
    (b" TEXT / Plain ; Charset=US-ASCII\r\n", (b"text", b"plain", {b"charset": b"US-ASCII"})),
    (b"text/plain; charset=us-ascii (Plain text)", (b"text", b"plain", {b"charset": b"us-ascii"})),  # RFC 2045 §5.1
    (b'text/plain; charset="us-ascii"', (b"text", b"plain", {b"charset": b"us-ascii"})),
    (b"(a) text (b) / (c) plain", (b"text", b"plain", {})),
    (
        b'multipart/mixed; boundary="gc0pJq0M:08jU534c0p"',
        (b"multipart", b"mixed", {b"boundary": b"gc0pJq0M:08jU534c0p"}),
    ),
    (b"multipart/mixed;\r\n\tboundary=b", (b"multipart", b"mixed", {b"boundary": b"b"})),
    (b"multipart/mixed;boundary=b;;; ", (b"multipart", b"mixed", {b"boundary": b"b"})),
    (b'image/png; name="a\\"b\\\\c"', (b"image", b"png", {b"name": b'a"b\\c'})),
    (b'image/png; name="a;b=c"; x=y', (b"image", b"png", {b"name": b"a;b=c", b"x": b"y"})),
    (b'image/png; name="a\r\n b"', (b"image", b"png", {b"name": b"a b"})),
    (b'image/png; name="never closed', (b"image", b"png", {b"name": b"never closed"})),
    (b'image/png; name=""', (b"image", b"png", {b"name": b""})),
    (b"image/png; name=\xc3\xa9", (b"image", b"png", {b"name": b"\xc3\xa9"})),
    (b"image/png; name = a ; name=b", (b"image", b"png", {b"name": b"a"})),
    (b"application/vnd.a+xml; v=1", (b"application", b"vnd.a+xml", {b"v": b"1"})),
    (b"text/plain charset=utf-8", (b"text", b"plain", {})),
]


@pytest.mark.parametrize(("value", "expected"), MEDIA_TYPES)
def test_media_types_are_parsed(value: bytes, expected: MediaType) -> None:
    assert parse_media_type(value) == expected


@pytest.mark.parametrize("value", [b"", b"text", b"text/", b"/plain", b"; charset=a", b"(text/plain)", b"\xff/\xff"])
def test_invalid_media_type_is_none(value: bytes) -> None:
    assert parse_media_type(value) is None


EXTENDED = [  # RFC 2231 §3, §4, §4.1
    (
        b'message/external-body; access-type=URL;\r\n URL*0="ftp://";\r\n URL*1="cs.utk.edu/pub/moore/bulk-mailer.tar"',
        b"url",
        "ftp://cs.utk.edu/pub/moore/bulk-mailer.tar",
    ),
    (
        b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        b"title",
        "This is ***fun***",
    ),
    (
        b"a/b;title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A; title*2=\" isn't it!\"",
        b"title",
        "This is even more ***fun*** isn't it!",
    ),
    (b"a/b; name*=utf-8''%e2%82%ac%20rates", b"name", "€ rates"),
    (b"a/b; name*=UTF-8'en'%E2%82%AC; name=ignored", b"name", "€"),
    (b"a/b; name*1=b; name*0=a", b"name", "ab"),  # in any order
    (b"a/b; name*0*=utf-8''%E2%82; name*1*=%AC", b"name", "€"),  # a character in two segments
    (b"a/b; name*0=100%25; name*1*=%20", b"name", "100%25 "),
    (b"a/b; name*=no%20charset", b"name", "no charset"),
    (b"a/b; name*=x-nobody-knows''%C3%A9", b"name", "é"),
    (b"a/b; name*=utf-8''%zz%4", b"name", "%zz%4"),
    (b"a/b; name*=utf-8''a%00b", b"name", "a b"),
    (b'a/b; name="=?utf-8?q?=E2=82=AC?="', b"name", "€"),  # not allowed, but common
    (b"a/b; name=a", b"missing", ""),
]


@pytest.mark.parametrize(("value", "name", "text"), EXTENDED)
def test_parameters_are_decoded(value: bytes, name: bytes, text: str) -> None:
    media_type = parse_media_type(value)
    assert media_type
    assert parameter_text(media_type.parameters, name) == text


def test_continuations_are_joined_and_keep_their_charset() -> None:
    """RFC 2231 §6: BODYSTRUCTURE has one parameter, which the client decodes."""
    disposition = parse_disposition(b"attachment; filename*0*=utf-8''%E2%82; filename*1*=%AC; filename*2=\" b\"")
    assert disposition == (b"attachment", {b"filename*": b"utf-8''%E2%82%AC%20b"})


@pytest.mark.parametrize(
    "value", [b"a/b; boundary=b", b"a/b; boundary*=us-ascii''b", b"a/b; boundary*=us-ascii'en'%62"]
)
def test_boundary_may_be_an_extended_parameter(value: bytes) -> None:
    media_type = parse_media_type(value)
    assert media_type
    assert parameter_octets(media_type.parameters, b"boundary") == b"b"


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        (b"", b"", {}),
        (b"INLINE", b"inline", {}),
        (b'attachment; filename=genome.jpeg;\r\n modification-date="Wed, 12 Feb 1997 16:29:51 -0500"', b"attachment",
         {b"filename": b"genome.jpeg", b"modification-date": b"Wed, 12 Feb 1997 16:29:51 -0500"}),  # RFC 2183 §3
        (b"attachment (a); filename=b (c)", b"attachment", {b"filename": b"b (c)"}),
        (b"; filename=a", b"", {b"filename": b"a"}),
    ],
)  # fmt: skip
def test_dispositions_are_parsed(value: bytes, kind: bytes, parameters: dict[bytes, bytes]) -> None:
    assert parse_disposition(value) == (kind, parameters)


UNQUOTED = {
    b"attachment; filename=Vietnam Airline.pdf; size=5": b"Vietnam Airline.pdf",
    b"attachment; filename=Vietnam Airline.pdf": b"Vietnam Airline.pdf",
    b"attachment; filename=Vietnam Airline.pdf ;": b"Vietnam Airline.pdf",
    b"attachment; filename=  Vietnam   Airline.pdf": b"Vietnam   Airline.pdf",
    b"attachment; filename=Vietnam\r\n Airline.pdf; x=y": b"Vietnam Airline.pdf",
    b"attachment; FileName = Vietnam Airline.pdf": b"Vietnam Airline.pdf",
    b"attachment; x=y z; filename=a b c d.pdf": b"a b c d.pdf",
    b"attachment; filename=Report (1).pdf; x=y": b"Report (1).pdf",
    b"attachment; filename=(1) Report.pdf": b"(1) Report.pdf",
    b"attachment (a; b); filename=Report (1).pdf": b"Report (1).pdf",
    b"attachment; filename=a, b & c = d.pdf": b"a, b & c = d.pdf",
    b"attachment; filename=it's \xc3\xbc [x] <y>.pdf": b"it's \xc3\xbc [x] <y>.pdf",
    b'attachment; filename=a "b" c.pdf; size=5': b'a "b" c.pdf',
    b'attachment; filename="never closed.pdf; size=5': b"never closed.pdf",
    b'attachment; filename="quoted; name (1).pdf"; size=5': b"quoted; name (1).pdf",
    b"attachment; filename==?utf-8?q?a_b?= =?utf-8?q?c?=.pdf": b"=?utf-8?q?a_b?= =?utf-8?q?c?=.pdf",
    b"attachment; filename=; size=5": b"",
}


@pytest.mark.parametrize(("value", "filename"), UNQUOTED.items())
def test_unquoted_filename_extends_to_the_semicolon(value: bytes, filename: bytes) -> None:
    parameters = parse_disposition(value).parameters
    assert parameters[b"filename"] == filename
    assert parameters.get(b"size", b"5") == b"5"


@pytest.mark.parametrize(
    ("value", "charset"),
    [
        (b"text/plain; charset=utf-8 format=flowed", b"utf-8"),
        (b"text/plain; charset=utf-8 (Unicode); format=flowed", b"utf-8"),
        (b'text/plain; charset="utf-8" format=flowed', b"utf-8"),
        (b"text/plain; charset=", b""),
    ],
)
def test_charset_is_one_token(value: bytes, charset: bytes) -> None:
    media_type = parse_media_type(value)
    assert media_type
    assert media_type.parameters[b"charset"] == charset


def test_value_beyond_the_limit_is_ignored() -> None:
    value = b"attachment; x=" + b"y" * VALUE_LIMIT_OCTETS + b"; filename=a"
    assert list(parse_disposition(value).parameters) == [b"x"]


@pytest.mark.parametrize(
    ("value", "keyword"),
    [
        (b"Base64\r\n", b"base64"),
        (b" (a) 7BIT (b)", b"7bit"),
        (b"quoted-printable; a=b", b"quoted-printable"),
        (b"", b""),
    ],
)
def test_keywords_are_lower_case_tokens(value: bytes, keyword: bytes) -> None:
    assert parse_keyword(value) == keyword
