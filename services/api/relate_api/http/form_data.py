"""multipart/form-data (RFC 7578) of a body that is in memory. Pure."""

from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_FIELDS = 200
MAX_FILES = 100


class MalformedForm(Exception):
    """The body is no form, or has more fields or files than are read."""


class FormFile(NamedTuple):
    """A file of a form, with the name and the media type that the browser has sent."""

    name: str
    media_type: str
    content: bytes


class FormData(NamedTuple):
    """The values of a form's fields in order, and its files, whatever the names of their fields are."""

    fields: dict[str, list[str]]
    files: list[FormFile]

    def text(self, name: str) -> str:
        """The first value of a field; empty without one."""
        return self.fields.get(name, [""])[0]


def parse_form_data(body: bytes, content_type: str) -> FormData:
    """The form of a body, whose Content-Type has the boundary. Raises MalformedForm."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedForm
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
    except FormParserError:
        raise MalformedForm from None
    if not reader.has_ended:
        raise MalformedForm
    return FormData(reader.fields, reader.files)


class _Reader:
    """Collects the parts. The parser bounds the number and the size of their header fields."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.files: list[FormFile] = []
        self.has_ended = False
        self._count = 0
        self._header: dict[str, str] = {}
        self._name = self._value = b""
        self._pieces: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._header, self._pieces = {}, []

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._header[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end_part(self) -> None:
        _, options = parse_options_header(self._header.get("content-disposition"))
        if b"name" not in options:
            raise MalformedForm
        content, self._pieces = b"".join(self._pieces), []
        if b"filename" in options:
            file_name = _decode(options[b"filename"]).replace("%22", '"')
            self.files.append(FormFile(file_name, self._header.get("content-type", ""), content))
        else:
            self._count += 1
            self.fields.setdefault(_decode(options[b"name"]), []).append(_decode(content))
        if len(self.files) > MAX_FILES or self._count > MAX_FIELDS:
            raise MalformedForm

    def _end(self) -> None:
        self.has_ended = True


def _decode(octets: bytes) -> str:
    return octets.decode(errors="replace")
