"""Surrogate headers in ASCII, for clients that did not send UTF8 (RFC 6856 §2.1)."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import index_message
from relate_mime.surrogate import encode_field, encode_header
from relate_mime.surrogate.header import MAX_ENCODED_OCTETS
from tests.support.examples import examples

LONG_TEXT = "日本語の件名はとても長いことがあります" * 3

SUBJECTS = [
    "Grüße",
    "Grüße aus Zürich",
    "aus Zürich",
    LONG_TEXT,
    f"re: {LONG_TEXT} end",
    "🎉 party",
    "e\u0301",
    "ü" * 500,
    "a ü b ö c ä d",
    "plain words and more plain words that fill the line up to its end, and then ä",
    "two  spaces  ä  ö  here",
    "ä\tö",
    "an address <jörg@example.org>, (a comment, ä) and 'quotes' \"ü\"",
    "a=?b ä",
]


def field_body(header: bytes, name: str) -> str:
    """The body of a field, unfolded but not decoded."""
    return re.sub("\r?\n", "", str(message_from_bytes(header)[name]))


def decode_words(value: str) -> str:
    return str(make_header(decode_header(value)))


def subject_of(header: bytes) -> str:
    return decode_words(field_body(header, "Subject"))


def parse(header: bytes) -> EmailMessage:
    """The header, parsed by the standard library."""
    message = message_from_bytes(header, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def assert_valid(header: bytes) -> None:
    """Check that a header is ASCII, and its lines are not too long (RFC 2047 §2)."""
    assert header.isascii()
    for line in header.split(b"\r\n"):
        assert len(line) <= 76 or b"=?" not in line
        assert all(len(word) <= 75 for word in re.findall(rb"=\?[^ ]*\?=", line))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subject_is_decoded_to_the_original(subject: str) -> None:
    surrogate = encode_header(f"Subject: {subject}\r\n\r\n".encode())

    assert_valid(surrogate)
    assert subject_of(surrogate) == subject
    assert index_message(surrogate).subject == subject.replace("\t", " ")


FOLDED = [
    ("Grüße aus\r\n Köln und Bonn", "Grüße aus Köln und Bonn"),
    ("Grüße\r\n aus\r\n Köln", "Grüße aus Köln"),
    ("Grüße\r\n\tKöln", "Grüße\tKöln"),
    ("Grüße\r\n  Köln", "Grüße  Köln"),
    ("aus\r\n Köln", "aus Köln"),
    ("Köln\r\n aus", "Köln aus"),
    ("Köln \r\n aus", "Köln  aus"),
    (f"a\r\n {LONG_TEXT}\r\n b", f"a {LONG_TEXT} b"),
    ("\r\n Köln", "Köln"),
    ("Köln\r\n =?utf-8?q?=C3=BC?=\r\n Bonn", "Köln ü Bonn"),
    ("=?utf-8?q?=C3=BC?=\r\n Köln", "ü Köln"),
    ("=?utf-8?q?a?= =?utf-8?q?b?= ü", "ab ü"),
]


@pytest.mark.parametrize(("folded", "subject"), FOLDED)
def test_space_at_a_fold_is_preserved(folded: str, subject: str) -> None:
    surrogate = encode_header(f"Subject: {folded}\r\n\r\n".encode())

    assert_valid(surrogate)
    assert subject_of(surrogate) == subject


LISTS = {
    '"Jürgen, X" <j@ex.example>': [("Jürgen, X", "j@ex.example")],
    'Jörg Müller <j@example.org>, "Ann, ä" <ann@example.org>': [
        ("Jörg Müller", "j@example.org"),
        ("Ann, ä", "ann@example.org"),
    ],
    "ann@example.org (Jörg)": [("Jörg", "ann@example.org")],
    "Ann <a@bücher.example>": [("Ann", "a@xn--bcher-kva.example")],
    "a@faß.example": [("", "a@xn--fa-hia.example")],
    '"Doe, John" <a@b.example>, Ö <c@d.example>': [("Doe, John", "a@b.example"), ("Ö", "c@d.example")],
    'John Q. Public <a@b.example>, "Ö \\"x\\"" <c@d.example>': [
        ("John Q. Public", "a@b.example"),
        ('Ö "x"', "c@d.example"),
    ],
    '"a b"@c.example, ö <c@d.example>': [("", '"a b"@c.example'), ("ö", "c@d.example")],
    f"{LONG_TEXT} <a@b.example>": [(LONG_TEXT, "a@b.example")],
    "=?utf-8?q?J=C3=B6rg?= Köln <a@b.example>": [("Jörg Köln", "a@b.example")],
    "Köln, Jörg <a@b.example>": [("Köln, Jörg", "a@b.example")],
}


@pytest.mark.parametrize(("value", "mailboxes"), LISTS.items())
def test_names_are_encoded_and_ascii_addresses_unchanged(value: str, mailboxes: list[tuple[str, str]]) -> None:
    surrogate = encode_header(f"From: {value}\r\n\r\n".encode())

    assert_valid(surrogate)
    parsed = [(decode_words(name), address) for name, address in getaddresses([field_body(surrogate, "From")])]
    assert parsed == mailboxes
    assert not re.search(rb'"=\?|<=\?|\?=@|\?=[<,]', surrogate)


GROUPS = {
    "Jörg <jörg@example.org>": ["Jörg <jörg@example.org>"],
    "jörg@example.org, a@b.example": ["jörg@example.org", None],
    "Übung: ä@b.example, c@d.example;": ["Übung: ä@b.example, c@d.example"],
    "Übung: a@b.example;": ["Übung"],
}


@pytest.mark.parametrize(("value", "names"), GROUPS.items())
def test_non_ascii_address_is_the_name_of_an_empty_group(value: str, names: list[str | None]) -> None:
    """RFC 6857 §3.1.7."""
    surrogate = encode_header(f"To: {value}\r\n\r\n".encode())

    assert_valid(surrogate)
    assert [group.display_name for group in parse(surrogate)["To"].groups] == names


PARAMETERS = {
    'attachment; filename="Prüfung.pdf"': {"filename": "Prüfung.pdf"},
    "attachment; filename=Vietnäm Airline.pdf; size=5": {"filename": "Vietnäm Airline.pdf", "size": "5"},
    f'attachment; filename="{LONG_TEXT}.pdf"; size=5': {"filename": f"{LONG_TEXT}.pdf", "size": "5"},
    'attachment; filename="ü ; \\"x\\".pdf"': {"filename": 'ü ; "x".pdf'},
    "attachment; filename*=utf-8''%C3%BC; x=ö": {"filename": "ü", "x": "ö"},
    'attachment; x="a \\"b\\""; filename=ü': {"x": 'a "b"', "filename": "ü"},
    "attachment (ü); filename=a": {"filename": "a"},
}


@pytest.mark.parametrize(("value", "parameters"), PARAMETERS.items())
def test_parameters_are_encoded_as_in_rfc_2231(value: str, parameters: dict[str, str]) -> None:
    surrogate = encode_header(f"Content-Disposition: {value}\r\n\r\n".encode())

    assert_valid(surrogate)
    assert b"=?" not in surrogate
    assert max(map(len, surrogate.split(b"\r\n"))) <= 76
    assert dict(parse(surrogate)["Content-Disposition"].params) == parameters


def test_media_type_keeps_its_ascii_parameters() -> None:
    surrogate = encode_header("Content-Type: multipart/mixed; boundary=b; name=ü\r\n\r\n".encode())

    assert surrogate == b"Content-Type: multipart/mixed; boundary=\"b\"; name*=UTF-8''%C3%BC\r\n\r\n"


STRUCTURED = {
    "Received: from a (Köln (x)) by b; date": "Received: from a (=?UTF-8?B?S8O2bG4gKHgp?=) by b; date",
    "Date: Fri, 21 Nov 1997 09:55:06 -0600 (früh)": ("Date: Fri, 21 Nov 1997 09:55:06 -0600 (=?UTF-8?B?ZnLDvGg=?=)"),
    "Message-ID: <ä@b>": "Downgraded-Message-ID: =?UTF-8?B?PMOkQGI+?=",
    "Content-Type: ü": "Downgraded-Content-Type: =?UTF-8?B?w7w=?=",
    "References: <a@b> <ä@b>": "Downgraded-References: <a@b> =?UTF-8?B?PMOkQGI+?=",
    "Keywords: Köln, Bonn": "Keywords: =?UTF-8?B?S8O2bG4=?= , Bonn",
    "List-Id: Köln <k.example>": "List-Id: =?UTF-8?B?S8O2bG4=?= <k.example>",
    "To: (Köln)": "To: (=?UTF-8?B?S8O2bG4=?=)",
}


@pytest.mark.parametrize(("field", "surrogate"), STRUCTURED.items())
def test_encoded_words_are_used_only_where_allowed(field: str, surrogate: str) -> None:
    """RFC 2047 §5."""
    assert encode_header(f"{field}\r\n\r\n".encode()).decode() == f"{surrogate}\r\n\r\n"


def test_ascii_header_is_unchanged() -> None:
    header = b"Subject: =?utf-8?q?J=C3=B6rg?=\r\nX-Odd:   two  spaces\r\n\r\n"

    assert encode_header(header) is header


def test_ascii_field_is_unchanged() -> None:
    header = encode_header("X-Odd:   two  spaces\r\n\tand a fold \r\nSubject: ä\r\nX:y\r\n\r\n".encode())

    assert header == b"X-Odd:   two  spaces\r\n\tand a fold \r\nSubject: =?UTF-8?B?w6Q=?=\r\nX:y\r\n\r\n"


def test_field_in_another_charset_is_unchanged() -> None:
    assert encode_header(b"Subject: caf\xe9\r\n\r\n") == b"Subject: caf\xe9\r\n\r\n"
    mixed = b"Subject: caf\xe9\r\nX: \xc3\xa9\r\n\r\n"
    assert encode_header(mixed) == b"Subject: caf\xe9\r\nX: =?UTF-8?B?w6k=?=\r\n\r\n"


def test_line_ends_between_fields_are_preserved() -> None:
    header = "Subject: ä\r\n ö\r\nTo: bob@example.net\r\n\r\n".encode()

    assert encode_header(header).endswith(b"\r\nTo: bob@example.net\r\n\r\n")


def test_line_that_is_not_a_field_is_encoded() -> None:
    surrogate = encode_header("\ufeffFrom: a@b\r\nSübject: x\r\nSubject: y\r\n\r\n".encode())

    assert surrogate == b"From: a@b\r\n=?UTF-8?B?U8O8YmplY3Q6?= x\r\nSubject: y\r\n\r\n"


def test_body_without_a_preceding_empty_line_is_unchanged() -> None:
    header = "Subject: ä\r\nDünn.\r\n--b\r\nContent-Type: text/plain\r\n\r\n".encode()

    assert encode_header(header) == header.replace("ä".encode(), b"=?UTF-8?B?w6Q=?=")


def test_rest_of_a_huge_header_is_question_marks() -> None:
    field = "X: ü\r\n".encode()
    fields = MAX_ENCODED_OCTETS // len(field)
    surrogate = encode_header(field * (fields + 2) + b"\r\n")

    assert surrogate == b"X: =?UTF-8?B?w7w=?=\r\n" * fields + b"X: ??\r\n" * 2 + b"\r\n"


@settings(max_examples=examples(200))
@given(st.sampled_from(("Subject", "To", "Content-Type", "Received", "X-Any")), st.text(max_size=120))
def test_any_field_is_encoded_in_ascii(name: str, text: str) -> None:
    value = re.sub(r"[\r\n]+", "\r\n ", text)
    assert_valid(encode_header(f"{name}: {value}\r\n\r\n".encode("utf-8", "ignore")))


word_texts = st.text(st.characters(categories=("L", "N", "So")), min_size=1, max_size=30)


@settings(max_examples=examples(200))
@given(st.lists(word_texts, min_size=1, max_size=20).map(" ".join))
def test_any_text_is_decoded_to_the_original(text: str) -> None:
    surrogate = encode_header(f"Subject: {text}\r\n\r\n".encode())

    assert_valid(surrogate)
    assert subject_of(surrogate) == text


def test_non_ascii_octets_of_a_huge_field_are_question_marks() -> None:
    for field in (
        b"X: " + b"\r\n a" * MAX_ENCODED_OCTETS + "ü".encode(),
        b"X: " + "ü ".encode() * MAX_ENCODED_OCTETS,
    ):
        assert encode_header(field + b"\r\n\r\n") == field.replace("ü".encode(), b"??") + b"\r\n\r\n"


def test_huge_header_is_encoded_in_linear_time() -> None:
    # A quadratic search would take minutes, and fail by pytest's timeout.
    assert encode_header(b"X: " + b"a" * 1_000_000 + " ü".encode()).isascii()


EXACT = {
    "Subject: Grüße\r\n": b"Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n",
    "From: Jörg <a@b.example>\r\n": b"From: =?UTF-8?B?SsO2cmc=?= <a@b.example>\r\n",
    "To: a@bücher.example\r\n": b"To: a@xn--bcher-kva.example\r\n",
    "Received: from a (ü)\r\n by b\r\n": b"Received: from a (=?UTF-8?B?w7w=?=) by b\r\n",
    "Content-Type: text/plain; name=ü\r\n": b"Content-Type: text/plain; name*=UTF-8''%C3%BC\r\n",
}


@pytest.mark.parametrize(("field", "encoded"), EXACT.items())
def test_a_field_is_encoded_exactly(field: str, encoded: bytes) -> None:
    assert encode_field(field.encode()) == encoded


@pytest.mark.parametrize(
    "field",
    ["From: jörg@b.example", "To: g: a@b.example, <ü@c.example>;", "Message-ID: <ü@a>", "Received: by ü", "no field ü",
     "Sübject: x", "\ufeffSubject: ü", "To: ü " + "<a@b>," * 1_000, "Content-Type: ü"],
    ids=lambda field: field[:20],
)  # fmt: skip
def test_a_field_that_would_lose_its_meaning_is_not_encoded(field: str) -> None:
    assert encode_field(f"{field}\r\n".encode()) is None


def test_a_field_in_another_charset_is_encoded_from_latin_1() -> None:
    assert encode_field("Subject: Grüße\r\n".encode("latin-1")) == b"Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1))
def test_an_encoded_field_keeps_its_text(text: str) -> None:
    encoded = encode_field(f"Subject: x{text}\r\n".encode())

    assert encoded is not None
    assert encoded.isascii()
    assert subject_of(encoded) == f"x{text}"
