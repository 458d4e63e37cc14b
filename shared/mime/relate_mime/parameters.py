"""Values with parameters (RFC 2045 §5.1, RFC 2183, RFC 2231): Content-Type, Content-Disposition.

Continuations are joined, as RFC 2231 §6 requires of an IMAP server. An extended value stays encoded until
`parameter_text` decodes it: `filename*` holds `utf-8''%E2%82%AC`.
"""

import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from relate_mime.charsets import clean_value, decode_charset
from relate_mime.fields import strip_comments, unfold, unquote
from relate_mime.words import decode_words

_TOKEN = rb"[!#-'*+\-.0-9A-Z^-~]"
_MEDIA_TYPE = re.compile(rb"(%b{1,127}+)\s*+/\s*+(%b{1,127}+)" % (_TOKEN, _TOKEN))  # lengths: RFC 6838 §4.2
_KEYWORD = re.compile(rb"%b{1,127}+" % _TOKEN)
_PARAMETER = re.compile(
    rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.?)*+)"|"?([^;]*+))',  # an unquoted value extends to the semicolon
    re.DOTALL,
)
_UNQUOTED_FILE_NAME = re.compile(rb';\s*+(?:file)?name\s*+=\s*+[^\s";][^;]*+', re.IGNORECASE)
_CONTINUATION = re.compile(rb"([^*]+)\*([0-9]{1,3})(\*?)")

VALUE_LIMIT_OCTETS = 65_536
"""Octets of a value that are parsed: a hundred times the longest that senders write."""

Parameters = dict[bytes, bytes]
"""Lower-case name to unquoted value."""


class MediaType(NamedTuple):
    """A Content-Type; type and subtype are in lower case."""

    type: bytes
    subtype: bytes
    parameters: Parameters


class Disposition(NamedTuple):
    """A Content-Disposition; the type is in lower case."""

    type: bytes
    parameters: Parameters


_NO_DISPOSITION = Disposition(b"", {})


def parse_media_type(value: bytes) -> MediaType | None:
    """Parse a Content-Type; None if it has no type and subtype."""
    value = _strip_comments(value)
    match = _MEDIA_TYPE.match(value)
    return match and MediaType(match[1].lower(), match[2].lower(), _parse_parameters(value, match.end()))


def parse_disposition(value: bytes) -> Disposition:
    """Parse a Content-Disposition; its type is b"" if it has none."""
    if not value:
        return _NO_DISPOSITION
    value = _strip_comments(value)
    keyword = parse_keyword(value)
    return Disposition(keyword, _parse_parameters(value, len(keyword)))


def parse_keyword(value: bytes) -> bytes:
    """The first token in lower case, such as the name of a transfer encoding; b"" if there is none."""
    match = _KEYWORD.match(strip_comments(value[:VALUE_LIMIT_OCTETS]).lstrip()) if value else None
    return match[0].lower() if match else b""


def parameter_text(parameters: Parameters, name: bytes) -> str:
    """A decoded parameter (RFC 2231, or the encoded words that many senders use instead); "" if absent."""
    extended = parameters.get(name + b"*")
    if extended is not None:
        charset, octets = _split_extended(extended)
        return clean_value(decode_charset(octets, charset))
    value = parameters.get(name)
    return decode_words(value) if value else ""


def parameter_octets(parameters: Parameters, name: bytes) -> bytes:
    """The octets of a parameter that is ASCII in any charset, such as a boundary; b"" if absent."""
    extended = parameters.get(name + b"*")
    return parameters.get(name, b"") if extended is None else _split_extended(extended)[1]


def _strip_comments(value: bytes) -> bytes:
    """Unfold a value and remove its comments, but not parentheses in a filename, quoted or not."""
    value = unfold(value[:VALUE_LIMIT_OCTETS])
    if b"(" not in value:
        return value
    pieces: list[bytes] = []
    position = 0
    for match in _UNQUOTED_FILE_NAME.finditer(value):
        pieces += strip_comments(value[position : match.start()]), match[0]
        position = match.end()
    return b"".join([*pieces, strip_comments(value[position:])]).lstrip()


def _parse_parameters(value: bytes, start: int) -> Parameters:
    parameters: Parameters = {}
    for name, quoted, unquoted in _PARAMETER.findall(value, start):
        parameters.setdefault(name.lower(), unquote(quoted) if quoted else unquoted.rstrip())
    charset = parameters.get(b"charset", b"").split(maxsplit=1)
    if len(charset) > 1:  # a token: the semicolon after it is missing
        parameters[b"charset"] = charset[0]
    return _join_continuations(parameters) if b"*" in value else parameters


def _join_continuations(parameters: Parameters) -> Parameters:
    joined: Parameters = {}
    segments: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters.items():
        match = _CONTINUATION.fullmatch(name)
        if match:
            segments.setdefault(match[1], {})[int(match[2])] = value, bool(match[3])
        else:
            joined[name] = value
    for name, numbered in segments.items():
        _join_segments(joined, name, [numbered[number] for number in sorted(numbered)])
    return joined


def _join_segments(joined: Parameters, name: bytes, segments: list[tuple[bytes, bool]]) -> None:
    if not any(extended for _, extended in segments):
        joined.setdefault(name, b"".join(value for value, _ in segments))
        return
    charset = b"" if segments[0][1] else b"''"  # only the first segment may name one (RFC 2231 §4.1)
    encoded = (value if extended else quote_from_bytes(value).encode() for value, extended in segments)
    joined.setdefault(name + b"*", charset + b"".join(encoded))


def _split_extended(value: bytes) -> tuple[str, bytes]:
    """The charset and octets of charset'language'octets; "" and all octets of any other value."""
    charset, _, rest = value.partition(b"'")
    _language, quote, encoded = rest.partition(b"'")
    return (charset.decode("latin-1"), unquote_to_bytes(encoded)) if quote else ("", unquote_to_bytes(value))
