"""The Content-… fields of a header (RFC 2045, RFC 2183), parsed and encoded for BODYSTRUCTURE (RFC 9051 §7.5.2).

The result depends on eight fields only, and most parts of most mail have one of a few dozen combinations of them, so
results are cached.
"""

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from relate_mime.charsets import clean_value, decode_unlabelled
from relate_mime.fields import Fields, collect_fields, strip_comments, unfold
from relate_mime.parameters import (
    Disposition,
    MediaType,
    Parameters,
    parameter_octets,
    parameter_text,
    parse_disposition,
    parse_keyword,
    parse_media_type,
)
from relate_mime.strings import NIL, encode_string

CACHE_ENTRIES = 512
CACHED_OCTETS = 512
"""Size of each of the two caches, and octets of their longest keys: usually 2 MB in total, at worst 10 MB."""

_FIELDS = (
    b"content-type",
    b"content-transfer-encoding",
    b"content-disposition",
    b"content-id",
    b"content-description",
    b"content-md5",
    b"content-language",
    b"content-location",
)
_TEXT_PLAIN = MediaType(b"text", b"plain", {b"charset": b"us-ascii"})  # RFC 2045 §5.2
_MESSAGE = MediaType(b"message", b"rfc822", {})
# Texts, and what only programs read in reports (RFC 3462, RFC 3464, RFC 8098). A calendar or a message is a file,
# although it may have no name, because clients that do not show it in place offer it (RFC 8621 §4.1.4).
_SHOWN_IN_PLACE = frozenset(
    {
        "text/plain",
        "text/html",
        "text/enriched",
        "text/richtext",
        "text/markdown",
        "text/x-amp-html",
        "text/watch-html",
        "text/rfc822-headers",
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/global-disposition-notification",
        "message/feedback-report",
    }
)
_SHOWN_INLINE = ("image/", "audio/", "video/")


class Kind(Enum):
    """The kinds of body that BODYSTRUCTURE distinguishes."""

    BASIC = "basic"
    TEXT = "text"
    MESSAGE = "message"  # message/rfc822 or message/global, no other
    MULTIPART = "multipart"


class Presentation(Enum):
    """How mail clients display a part, judged by its own header."""

    IN_PLACE = "in place"
    FILE = "file"  # offered for download, unless another part shows it in place
    ATTACHMENT = "attachment"  # offered for download because of its disposition


_KINDS = {
    "text": Kind.TEXT,
    "multipart": Kind.MULTIPART,
    "message/rfc822": Kind.MESSAGE,
    "message/global": Kind.MESSAGE,
}


class Content(NamedTuple):
    """The content of a part, described by its header."""

    kind: Kind
    media_type: str  # "text/plain", in lower case
    boundary: bytes
    encoding: str  # the Content-Transfer-Encoding in lower case; "7bit" if absent
    charset: str  # in lower case; "" if absent
    filename: str  # as sent: it may contain a path
    presentation: Presentation
    uris: tuple[str, ...]  # by which HTML in the message may refer to the part (RFC 2392, RFC 2557)
    start: str  # of a multipart/related: the URI of its root; "" for the first part (RFC 2387 §3.2)
    encoded_start: bytes  # the members of BODYSTRUCTURE before the size; in a multipart, after the parts
    encoded_end: bytes  # the members from MD5 on; in a multipart, from the disposition on


def read_header(header: bytes, *, in_digest: bool = False) -> tuple[Fields, Content]:
    """The fields of a header and its content; `in_digest`, the default type is message/rfc822 (RFC 2046 §5.1.5)."""
    return (_cached_header if len(header) <= CACHED_OCTETS else _read_header)(header, in_digest)


def _read_header(header: bytes, in_digest: bool) -> tuple[Fields, Content]:
    fields = collect_fields(header)
    return fields, _read_content(fields, in_digest=in_digest)


def _read_content(fields: Fields, *, in_digest: bool) -> Content:
    values = tuple(map(fields.get, _FIELDS))
    small = len(b"".join(filter(None, values))) <= CACHED_OCTETS
    return (_cached_content if small else _make_content)(values, in_digest)


def with_media_type(fields: Fields, media_type: bytes) -> Content:
    """The content of a header with another media type, for a body that does not match its own."""
    _, semicolon, parameters = fields.get(b"content-type", b"").partition(b";")
    return _read_content({**fields, b"content-type": media_type + semicolon + parameters}, in_digest=False)


def _make_content(values: tuple[bytes | None, ...], in_digest: bool) -> Content:
    fields = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    media_type = _media_type(fields, in_digest=in_digest)
    name = f"{media_type.type.decode()}/{media_type.subtype.decode()}"
    kind = _KINDS.get(name) or _KINDS.get(media_type.type.decode(), Kind.BASIC)
    encoding = parse_keyword(fields.get(b"content-transfer-encoding", b"")) or b"7bit"
    disposition = parse_disposition(fields.get(b"content-disposition", b""))
    filename = parameter_text(disposition.parameters, b"filename") or parameter_text(media_type.parameters, b"name")
    return Content(
        kind,
        name,
        parameter_octets(media_type.parameters, b"boundary").rstrip(),
        "7bit"
        if kind is Kind.MULTIPART
        else encoding.decode(),  # the only encodings of a multipart are identities (RFC 2045 §6.4)
        clean_value(parameter_octets(media_type.parameters, b"charset").decode("latin-1").lower()),
        filename,
        _presentation(disposition.type, name, filename),
        tuple(_uris(fields)),
        cid_uri(parameter_octets(media_type.parameters, b"start")),
        _encode_start(kind, media_type, encoding, fields),
        _encode_end(kind, disposition, fields),
    )


_cached_header = lru_cache(CACHE_ENTRIES)(_read_header)
_cached_content = lru_cache(CACHE_ENTRIES)(_make_content)


def _media_type(fields: Fields, *, in_digest: bool) -> MediaType:
    value = fields.get(b"content-type")
    if value is None:
        return _MESSAGE if in_digest else _TEXT_PLAIN
    return parse_media_type(value) or _TEXT_PLAIN


def cid_uri(content_id: bytes) -> str:
    """The URI of a Content-ID (RFC 2392); "" for an empty one."""
    content_id = content_id.strip().removeprefix(b"<").removesuffix(b">")
    return f"cid:{clean_value(decode_unlabelled(content_id))}" if content_id else ""


def _uris(fields: Fields) -> Iterator[str]:
    if uri := cid_uri(unfold(fields.get(b"content-id", b""))):
        yield uri
    if location := unfold(fields.get(b"content-location", b"")):
        yield clean_value(decode_unlabelled(location))


def _presentation(disposition: bytes, media_type: str, filename: str) -> Presentation:
    if disposition == b"attachment":
        return Presentation.ATTACHMENT
    if media_type.startswith("multipart/"):
        return Presentation.IN_PLACE
    # Without a disposition, a part is a file if it has a filename or a type that clients do not display with the text.
    is_shown = media_type in _SHOWN_IN_PLACE or (disposition == b"inline" and media_type.startswith(_SHOWN_INLINE))
    return Presentation.IN_PLACE if is_shown and not filename else Presentation.FILE


def _encode_start(kind: Kind, media_type: MediaType, encoding: bytes, fields: Fields) -> bytes:
    members = [encode_string(media_type.subtype), _encode_parameters(media_type.parameters)]
    if kind is not Kind.MULTIPART:
        members = [
            encode_string(media_type.type),
            *members,
            _encode_field(fields, b"content-id"),
            _encode_field(fields, b"content-description"),
            encode_string(encoding),
        ]
    return b" ".join(members)


def _encode_end(kind: Kind, disposition: Disposition, fields: Fields) -> bytes:
    members = [
        _encode_disposition(disposition),
        _encode_languages(fields),
        _encode_field(fields, b"content-location"),
    ]
    if kind is not Kind.MULTIPART:
        members.insert(0, _encode_field(fields, b"content-md5"))
    return b" ".join(members)


def _encode_disposition(disposition: Disposition) -> bytes:
    if not disposition.type:
        return NIL
    return b"(%b %b)" % (encode_string(disposition.type), _encode_parameters(disposition.parameters))


def _encode_field(fields: Fields, name: bytes) -> bytes:
    value = fields.get(name)
    return NIL if value is None else encode_string(unfold(value))


def _encode_parameters(parameters: Parameters) -> bytes:
    strings = [encode_string(string) for parameter in parameters.items() for string in parameter]
    return b"(%b)" % b" ".join(strings) if strings else NIL


def _encode_languages(fields: Fields) -> bytes:
    value = fields.get(b"content-language")
    if value is None:
        return NIL
    tags = [tag.strip() for tag in strip_comments(unfold(value)).split(b",") if tag.strip()]
    return b"(%b)" % b" ".join(map(encode_string, tags)) if tags else NIL
