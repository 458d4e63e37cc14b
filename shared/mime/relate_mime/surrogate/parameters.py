"""Content-Type and Content-Disposition in ASCII, with the parameters of RFC 2231 §3 and §4."""

from collections.abc import Iterator
from urllib.parse import quote_from_bytes

from relate_mime.parameters import Parameters, parse_disposition, parse_media_type
from relate_mime.surrogate.folding import MAX_LINE_CHARACTERS, FoldedBody

_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`{|}~"  # of RFC 2231 §7, in addition to letters and digits
_MIN_SEGMENT_CHARACTERS = 16  # of the value, also where the parameter's name fills the line


def encode_parameters(name: str, value: str) -> str | None:
    """One of the two fields; None if its type is missing."""
    octets = value.encode()
    body = FoldedBody(name)
    if name.lower() == "content-type:":
        media_type = parse_media_type(octets)
        if media_type is None:
            return None
        body.add(" ", f"{media_type.type.decode()}/{media_type.subtype.decode()}")
        parameters = media_type.parameters
    else:
        disposition = parse_disposition(octets)
        if not disposition.type:
            return None
        body.add(" ", disposition.type.decode())
        parameters = disposition.parameters
    for parameter in _encode(parameters):
        body.add_special(";")
        body.add(" ", parameter)
    return str(body)


def _encode(parameters: Parameters) -> Iterator[str]:
    for name, value in parameters.items():
        if not name.isascii():
            continue
        if name.endswith(b"*"):
            yield from _segments(name[:-1].decode(), value.decode("ascii", "replace"))
        elif value.isascii():
            quoted = value.decode().replace("\\", "\\\\").replace('"', '\\"')
            yield f'{name.decode()}="{quoted}"'
        else:
            yield from _segments(name.decode(), f"UTF-8''{quote_from_bytes(value, _ATTRIBUTE_CHARACTERS)}")


def _segments(name: str, encoded: str) -> Iterator[str]:
    """An extended value, in one segment per line."""
    parameter = f"{name}*={encoded}"
    if len(parameter) < MAX_LINE_CHARACTERS - 1:
        yield parameter
        return
    start = number = 0
    while start < len(encoded):
        prefix = f"{name}*{number}*="
        end = start + max(MAX_LINE_CHARACTERS - 2 - len(prefix), _MIN_SEGMENT_CHARACTERS)
        if end < len(encoded):
            end = _character_boundary(encoded, start, end)
        yield prefix + encoded[start:end]
        start, number = end, number + 1


def _character_boundary(encoded: str, start: int, end: int) -> int:
    """The last boundary between percent-encoded UTF-8 characters that is not after `end`."""
    if "%" in encoded[end - 2 : end]:
        end = encoded.rindex("%", start, end)
    while end - start > _MIN_SEGMENT_CHARACTERS and encoded[end] == "%" and encoded[end + 1] in "89AB":
        end -= 3
    return end
