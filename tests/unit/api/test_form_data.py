"""Forms with files (RFC 7578), as browsers send them."""

import pytest

from relate_api.http.form_data import MAX_FIELDS, MAX_FILES, FormFile, MalformedForm, parse_form_data

TYPE = "multipart/form-data; boundary=----b"


def part(disposition: str, content: bytes = b"", *fields: str) -> bytes:
    header = "\r\n".join((f"Content-Disposition: form-data; {disposition}", *fields))
    return b"------b\r\n" + header.encode() + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"------b--\r\n"


def test_fields_and_files_are_read_as_they_were_sent() -> None:
    octets = bytes(range(256)) + b"\r\n--\r\n------c\r\n"
    form = parse_form_data(
        body(
            part('name="to"', "Jörg <j@example.org>".encode()),
            part('name="remove"', b"2"),
            part('name="remove"', b"3.1"),
            part('name="files"; filename="ü %22x%22.bin"', octets, "Content-Type: application/x-a"),
            part('name="files"; filename=""', b"", "Content-Type: application/octet-stream"),
        ),
        TYPE,
    )
    assert form.fields == {"to": ["Jörg <j@example.org>"], "remove": ["2", "3.1"]}
    assert (form.text("remove"), form.text("missing")) == ("2", "")
    assert form.files == [
        FormFile('ü "x".bin', "application/x-a", octets),
        FormFile("", "application/octet-stream", b""),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"x",
        part('name="a"', b"cut"),
        body(part("filename=a")),
        body(*[part('name="a"')] * (MAX_FIELDS + 1)),
        body(*[part('name="a"; filename="b"')] * (MAX_FILES + 1)),
        b"------b\r\n" + b"a" * 100_000 + b": b\r\n\r\n\r\n------b--\r\n",
    ],
    ids=["empty", "no form", "cut", "no name", "fields", "files", "long field name"],
)
def test_what_is_no_form_or_too_much_is_refused(octets: bytes) -> None:
    with pytest.raises(MalformedForm):
        parse_form_data(octets, TYPE)


def test_a_form_needs_a_boundary() -> None:
    with pytest.raises(MalformedForm):
        parse_form_data(body(part('name="a"')), "multipart/form-data")
