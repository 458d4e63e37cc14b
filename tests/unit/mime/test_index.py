"""The index of a message, besides envelope and structure: parts, text for lists, the preview."""

import pytest

from relate_mime import Address, decode_part, index_message, part_text
from relate_mime.index import MAX_REFERENCES
from tests.unit.mime.messages import crlf

RFC_9051_SECTION_6_4_5 = crlf("""\
From: a@b
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

1
--b
Content-Type: application/octet-stream

2
--b
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: text/plain

3.1
--c
Content-Type: application/octet-stream

3.2
--c--

--b
Content-Type: multipart/mixed; boundary=d

--d
Content-Type: image/gif

4.1
--d
Content-Type: message/rfc822

Subject: four two
Content-Type: multipart/mixed; boundary=e

--e
Content-Type: text/plain

4.2.1
--e
Content-Type: multipart/alternative; boundary=f

--f
Content-Type: text/plain

4.2.2.1
--f
Content-Type: text/richtext

4.2.2.2
--f--
--e--
--d--
--b--
""")


def test_parts_have_the_specifiers_of_rfc_9051_section_6_4_5() -> None:
    assert [(part.section, part.media_type) for part in index_message(RFC_9051_SECTION_6_4_5).parts] == [
        ("", "multipart/mixed"),
        ("1", "text/plain"),
        ("2", "application/octet-stream"),
        ("3", "message/rfc822"),
        ("3.", "multipart/mixed"),
        ("3.1", "text/plain"),
        ("3.2", "application/octet-stream"),
        ("4", "multipart/mixed"),
        ("4.1", "image/gif"),
        ("4.2", "message/rfc822"),
        ("4.2.", "multipart/mixed"),
        ("4.2.1", "text/plain"),
        ("4.2.2", "multipart/alternative"),
        ("4.2.2.1", "text/plain"),
        ("4.2.2.2", "text/richtext"),
    ]


def test_leaves_have_the_content_of_their_specifier() -> None:
    for part in index_message(RFC_9051_SECTION_6_4_5).parts:
        if part.section[-1:].isdigit() and not part.media_type.startswith(("multipart/", "message/")):
            assert decode_part(RFC_9051_SECTION_6_4_5, part).decode() == part.section


def test_embedded_message_has_a_header_and_text() -> None:
    parts = {part.section: part for part in index_message(RFC_9051_SECTION_6_4_5).parts}
    part, message = parts["3"], parts["3."]
    assert RFC_9051_SECTION_6_4_5[part.header : part.body] == b"Content-Type: message/rfc822\r\n\r\n"
    assert (part.body, part.end) == (message.header, message.end)
    assert RFC_9051_SECTION_6_4_5[message.header : message.body].startswith(b"Subject: three\r\n")
    assert RFC_9051_SECTION_6_4_5[message.body : message.end].endswith(b"--c--\r\n")


def test_only_part_of_a_message_is_1() -> None:
    raw = b"Subject: a\r\n\r\ntext\r\n"
    assert [(part.section, part.header, part.body, part.end) for part in index_message(raw).parts] == [
        ("", 0, 14, 20),
        ("1", 0, 14, 20),
    ]


TEXTS = crlf("""\
From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>, Second <second@example.org>
To: G: "A, B" <a@b.example>, c@d.example;, Last <last@e.example>
Cc: x@y.example
Subject: Grüße =?utf-8?b?4oKs?=
Date: Fri, 21 Nov 1997 09:55:06 -0600
Message-ID: <1234@local.machine.example>
References: <first@example.org>
 <second@example.org> garbage <third@example.org>
In-Reply-To: <third@example.org> <fourth@example.org>

Hello.
""")


def test_list_fields_are_decoded() -> None:
    index = index_message(TEXTS)
    assert index.subject == "Grüße €"
    assert index.sender == Address("Jörg", "joerg@example.org")
    assert index.to == (
        Address("A, B", "a@b.example"),
        Address("", "c@d.example"),
        Address("Last", "last@e.example"),
    )
    assert index.cc == (Address("", "x@y.example"),)
    assert index.date == 880127706
    assert index.header_message_id == "1234@local.machine.example"
    assert index.references == (
        "first@example.org",
        "second@example.org",
        "third@example.org",
        "fourth@example.org",
    )
    assert index.preview == "Hello."


def test_missing_fields_are_empty() -> None:
    index = index_message(b"\r\n")
    assert (index.subject, index.sender, index.to, index.cc) == ("", Address("", ""), (), ())
    assert (index.date, index.header_message_id, index.references, index.preview) == (None, "", (), "")
    assert index.size == 2


def test_sender_field_replaces_a_missing_from() -> None:
    assert index_message(b"Sender: a@b\n\n").sender == Address("", "a@b")


@pytest.mark.parametrize(
    ("value", "header_message_id"),
    [(b"<a@b>", "a@b"), (b" a@b ", "a@b"), (b"<a@b> (x)", "a@b"), (b"<a@b", "a@b"), (b"", ""), (b"<a\0b>", "a b")],
)
def test_header_message_id_has_no_brackets(value: bytes, header_message_id: str) -> None:
    assert index_message(b"Message-ID: %b\n\n" % value).header_message_id == header_message_id


def test_long_references_keep_the_root_and_the_nearest_ids() -> None:
    ids = [f"{number}@a" for number in range(MAX_REFERENCES + 5)]
    raw = f"References: {' '.join(f'<{name}>' for name in ids)}\n\n".encode()
    assert index_message(raw).references == (ids[0], *ids[6:])


ATTACHMENTS = {
    "text": (b"Content-Type: text/plain\n", "", False),
    "a name": (b"Content-Type: text/plain; name=a.txt\n", "a.txt", True),
    "an attachment": (b"Content-Disposition: attachment\n", "", True),
    "an attachment with a name": (b'Content-Disposition: attachment; filename="a b"\n', "a b", True),
    "the disposition's name wins": (
        b"Content-Type: a/b; name=one\nContent-Disposition: inline; filename=two\n",
        "two",
        True,
    ),
    "a name of RFC 2231": (
        b"Content-Disposition: attachment; filename*0*=utf-8''%E2%82; filename*1*=%AC\n",
        "€",
        True,
    ),
    "a name of RFC 2047": (b'Content-Disposition: attachment; filename="=?utf-8?q?=E2=82=AC?="\n', "€", True),
    "a raw 8-bit name": (b'Content-Disposition: attachment; filename="\xe2\x82\xac"\n', "€", True),
    "a type that is not displayed": (b"Content-Type: application/pdf\n", "", True),
    "an inline picture": (b"Content-Type: image/png\nContent-Disposition: inline\n", "", False),
    "a picture with an unreferenced id": (
        b"Content-Type: image/png; name=a.png\nContent-ID: <a@b>\n",
        "a.png",
        True,
    ),
    "a report": (b"Content-Type: message/delivery-status\n", "", False),
    "an attached message": (b"Content-Type: message/rfc822\nContent-Disposition: attachment\n", "", True),
}


@pytest.mark.parametrize(("header", "filename", "attachment"), ATTACHMENTS.values(), ids=ATTACHMENTS.keys())
def test_attachments_are_distinguished_from_text(header: bytes, filename: str, attachment: bool) -> None:
    index = index_message(header + b"\n" + b"\n")
    assert (index.parts[1].filename, index.parts[1].attachment) == (filename, attachment)
    assert index.attachments == attachment


def test_parts_of_an_attached_message_are_no_attachments() -> None:
    inner = b"Content-Type: application/pdf\n\n%PDF"
    header = b"Content-Type: message/rfc822\n"
    attached = index_message(header + b"Content-Disposition: attachment\n\n" + inner)
    unnamed = index_message(header + b"\n" + inner)
    assert [part.section for part in attached.parts if part.attachment] == ["1"]
    assert [part.section for part in unnamed.parts if part.attachment] == ["1"]


HTML = b"""\
Content-Type: text/html

<html><head><title>No</title><style>p {}</style></head>
<!-- no --><p class="a">Fish &amp;&nbsp;chips</p><script>no()</script>for <b>two
"""

PREVIEWS = {
    "plain text": (b"\nHello  there,\r\n\r\n\tyou.\r\n", "Hello there, you."),
    "nothing": (b"\n", ""),
    "base64": (b"Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\n4oKsIDU=\n", "€ 5"),
    "quoted-printable": (b"Content-Transfer-Encoding: quoted-printable\n\na=E2=82=AC=\nb\n", "a€b"),
    "a charset": (b"Content-Type: text/plain; charset=iso-8859-15\n\n\xa4 5\n", "€ 5"),
    "HTML": (HTML, "Fish & chips for two"),
    "HTML that pads its preview": (b"Content-Type: text/html\n\nHello&zwnj;&nbsp;&#847;&zwnj; &shy;you", "Hello you"),
    "HTML after a long style sheet": (
        b"Content-Type: text/html\n\n<style>" + b"p {} " * 500 + b"</style>Hello" + b" you" * 200,
        ("Hello" + " you" * 200)[:256].strip(),
    ),
    "an unclosed style sheet": (b"Content-Type: text/html\n\n<style>" + b"p {} " * 5000, ""),
    "an attachment": (b"Content-Type: text/plain\nContent-Disposition: attachment\n\nno", ""),
    "no text": (b"Content-Type: image/png\n\nno", ""),
    "NUL and other controls": (b"\na\0b\x1bc", "a b c"),
    "long text": (b"\n" + b"word " * 10_000, ("word " * 60)[:256].strip()),
    "a long word": (b"\n" + b"x" * 10_000, "x" * 256),
}


@pytest.mark.parametrize(("raw", "preview"), PREVIEWS.values(), ids=PREVIEWS.keys())
def test_preview_is_the_first_words(raw: bytes, preview: str) -> None:
    assert index_message(raw).preview == preview


ALTERNATIVE = crlf("""\
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

{plain}
--b
Content-Type: text/html

<p>Shown
--b--
""")


@pytest.mark.parametrize(("plain", "preview"), [(b"First", "First"), (b" \r\n\r\n", "Shown")])
def test_preview_is_from_the_first_part_with_words(plain: bytes, preview: str) -> None:
    assert index_message(ALTERNATIVE.replace(b"{plain}", plain)).preview == preview


def test_part_text_is_decoded_from_its_charset() -> None:
    raw = b'Content-Type: text/plain; charset="KOI8-R"\nContent-Transfer-Encoding: base64\n\n8NLJ18XU\n'
    part = index_message(raw).parts[1]
    assert (part.charset, part_text(raw, part)) == ("koi8-r", "Привет")


@pytest.mark.parametrize(
    ("media_type", "is_file"),
    [
        ("text/calendar; method=REQUEST", True),
        ("text/csv", True),
        ("message/rfc822", True),
        ("message/global", True),
        ("text/plain", False),
        ("text/html", False),
        ("message/delivery-status", False),
        ("text/rfc822-headers", False),
    ],
)
def test_what_no_client_shows_with_the_text_is_a_file_without_a_name_too(media_type: str, is_file: bool) -> None:
    parts = f"--b\n\nfyi\n--b\nContent-Type: {media_type}\n\nSubject: x\n\nx\n--b--\n"
    index = index_message(b"Content-Type: multipart/mixed; boundary=b\n\n" + parts.encode())
    assert [part.section for part in index.parts if part.attachment] == (["2"] if is_file else [])
