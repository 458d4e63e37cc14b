"""What a header says of the content below it (RFC 2045, RFC 2183), and how BODYSTRUCTURE says it (RFC 9051 §7.5.2).

All of it is a function of eight fields, and most parts of most mail have one of a few dozen combinations of them: equal
ones are parsed and rendered once.
"""

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from relate_mailstore.mime.charsets import clean_value, decode_unlabelled
from relate_mailstore.mime.fields import Fields, collect_fields, strip_comments, unfold
from relate_mailstore.mime.parameters import (
    Disposition,
    MediaType,
    Parameters,
    parameter_octets,
    parameter_text,
    parse_disposition,
    parse_keyword,
    parse_media_type,
)
from relate_mailstore.mime.strings import NIL, encode_string

KEPT = 512
KEPT_OCTETS = 512
"""Headers and contents kept for parts to come, and octets of the longest of each: about 2 MB in all, 10 MB at worst."""

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
_SHOWN_IN_PLACE = ("text/", "multipart/", "message/")
_SHOWN_INLINE = (*_SHOWN_IN_PLACE, "image/", "audio/", "video/")


class Kind(Enum):
    """The kinds of content that BODYSTRUCTURE tells apart."""

    BASIC = "basic"
    TEXT = "text"
    MESSAGE = "message"  # message/rfc822 or message/global, no other
    MULTIPART = "multipart"


class Presentation(Enum):
    """How readers show a part, as far as its own header says."""

    IN_PLACE = "in place"
    FILE = "file"  # offered for download, unless another part shows it in place
    ATTACHMENT = "attachment"  # offered for download: its disposition says so


_KINDS = {
    "text": Kind.TEXT,
    "multipart": Kind.MULTIPART,
    "message/rfc822": Kind.MESSAGE,
    "message/global": Kind.MESSAGE,
}


class Content(NamedTuple):
    """The content of a part, by its header."""

    kind: Kind
    media_type: str  # "text/plain", in lower case
    boundary: bytes
    encoding: str  # of the transfer, in lower case; "7bit" when absent
    charset: str  # in lower case; "" when none is named
    filename: str  # as the sender wrote it: it may hold a path
    presentation: Presentation
    names: tuple[str, ...]  # the URIs by which HTML beside it may refer to it (RFC 2392, RFC 2557)
    start: str  # of a multipart/related: the URI of its root; "" for the first part (RFC 2387 §3.2)
    encoded_start: bytes  # the members of BODYSTRUCTURE before the size; in a multipart, after the parts
    encoded_end: bytes  # the members from MD5 on; in a multipart, from the disposition on


def read_header(header: bytes, *, in_digest: bool = False) -> tuple[Fields, Content]:
    """The fields of a header, and what they say; `in_digest`, that is a message by default (RFC 2046 §5.1.5)."""
    return (_kept_header if len(header) <= KEPT_OCTETS else _read_header)(header, in_digest)


def _read_header(header: bytes, in_digest: bool) -> tuple[Fields, Content]:
    fields = collect_fields(header)
    return fields, _read_content(fields, in_digest=in_digest)


def _read_content(fields: Fields, *, in_digest: bool) -> Content:
    values = tuple(map(fields.get, _FIELDS))
    small = len(b"".join(filter(None, values))) <= KEPT_OCTETS
    return (_kept_content if small else _make_content)(values, in_digest)


def retyped(fields: Fields, media_type: bytes) -> Content:
    """What a header would say with another media type: for content that is not what it says."""
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
        "7bit" if kind is Kind.MULTIPART else encoding.decode(),  # all it may be, having parts (RFC 2045 §6.4)
        clean_value(parameter_octets(media_type.parameters, b"charset").decode("latin-1").lower()),
        filename,
        _presentation(disposition.type, name, filename),
        tuple(_names(fields)),
        cid_uri(parameter_octets(media_type.parameters, b"start")),
        _encode_start(kind, media_type, encoding, fields),
        _encode_end(kind, disposition, fields),
    )


_kept_header = lru_cache(KEPT)(_read_header)
_kept_content = lru_cache(KEPT)(_make_content)


def _media_type(fields: Fields, *, in_digest: bool) -> MediaType:
    value = fields.get(b"content-type")
    if value is None:
        return _MESSAGE if in_digest else _TEXT_PLAIN
    return parse_media_type(value) or _TEXT_PLAIN


def cid_uri(content_id: bytes) -> str:
    """The URI of a Content-ID (RFC 2392); "" when it is empty."""
    content_id = content_id.strip().removeprefix(b"<").removesuffix(b">")
    return f"cid:{clean_value(decode_unlabelled(content_id))}" if content_id else ""


def _names(fields: Fields) -> Iterator[str]:
    if uri := cid_uri(unfold(fields.get(b"content-id", b""))):
        yield uri
    if location := unfold(fields.get(b"content-location", b"")):
        yield clean_value(decode_unlabelled(location))


def _presentation(disposition: bytes, media_type: str, filename: str) -> Presentation:
    if disposition == b"attachment":
        return Presentation.ATTACHMENT
    if media_type.startswith("multipart/"):
        return Presentation.IN_PLACE
    # Without a word from the sender, a name makes a file, and so does what no reader shows among the text.
    shown = _SHOWN_INLINE if disposition == b"inline" else _SHOWN_IN_PLACE
    return Presentation.FILE if filename or not media_type.startswith(shown) else Presentation.IN_PLACE


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
