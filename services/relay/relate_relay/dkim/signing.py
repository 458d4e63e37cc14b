"""Signs a message (RFC 6376 §5): the DKIM-Signature fields to put before its header. Pure.

The fields have neither i=, whose default is the domain, nor l=, which would let others append text to a signed message.
"""

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cryptography.hazmat.primitives.hashes import SHA256, Hash

from relate_mime import header_fields
from relate_relay.dkim.canonical import RelaxedBody, canonical_field
from relate_relay.dkim.keys import SigningKey, SigningKeys

MAX_LINE_OCTETS = 78
"""Octets of a line of a signature field, without CRLF (RFC 5322 §2.1.1). Only a long domain or selector exceeds it."""

OVERSIGNED = (
    b"from",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)
"""Fields that a message has once at most, and that readers show or act upon: each is signed once more than it occurs.

If one is added later, the signature fails (RFC 6376 §8.15): otherwise a signed message could be sent again with another
From or Subject before the signed one, or with a Content-Type that shows another part of the body.
"""

SIGNED = (
    b"sender",
    b"in-reply-to",
    b"references",
    b"resent-date",
    b"resent-from",
    b"resent-to",
    b"resent-cc",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
)
"""The other fields that RFC 6376 §5.4.1 recommends: signed as often as they occur, because mailing lists add them.

RFC 8058 §4 requires both List-Unsubscribe fields. Trace fields are not signed, because relays change them.
"""


def sign(header: bytes, body: Iterable[bytes], keys: SigningKeys, now: int) -> bytes:
    """The DKIM-Signature fields of a message, with CRLF, to put before `header`.

    `header` may have its empty line, `body` is in chunks that may be cut anywhere, `now` is in seconds since the epoch.
    """
    body_hash = hash_body(body)
    fields = collect_canonical(header)
    names = names_to_sign(fields)
    pair = (keys.rsa, keys.ed25519)
    return b"".join(_signature_field(key, fields, names, body_hash, now) for key in pair if key is not None)


def hash_body(body: Iterable[bytes]) -> bytes:
    """The SHA-256 hash of a body in relaxed form (RFC 6376 §3.7, step 1)."""
    digest = Hash(SHA256())
    relaxed = RelaxedBody(digest.update)
    for chunk in body:
        relaxed.feed(chunk)
    relaxed.finish()
    return digest.finalize()


Fields = Mapping[bytes, Sequence[bytes]]
"""The canonical fields of a header by lower-case name, in order."""


def collect_canonical(header: bytes) -> Fields:
    """The fields of a header in relaxed form."""
    fields = defaultdict[bytes, list[bytes]](list)
    for field in header_fields(header, 0, len(header)):
        canonical = canonical_field(header[slice(*field.span)])
        fields[canonical.partition(b":")[0]].append(canonical)
    return dict(fields)


def names_to_sign(fields: Fields) -> list[bytes]:
    """The names of the h= tag, each as often as it is signed (RFC 6376 §5.4)."""
    oversigned = [name for name in OVERSIGNED for _ in range(len(fields.get(name, ())) + 1)]
    return oversigned + [name for name in SIGNED for _ in fields.get(name, ())]


def header_to_sign(fields: Fields, names: Iterable[bytes], signature_field: bytes) -> bytes:
    """The octets that are signed (RFC 6376 §3.7, step 2). `signature_field` has an empty b= tag at its end.

    Of several fields of a name the last is taken first; a name without a field counts as nothing (§5.4.2).
    """
    remaining = {name: iter(reversed(found)) for name, found in fields.items()}
    signed = [next(remaining[name], b"") for name in names if name in remaining]
    return b"".join([*signed, canonical_field(signature_field).removesuffix(b"\r\n")])


def _signature_field(key: SigningKey, fields: Fields, names: Sequence[bytes], body_hash: bytes, now: int) -> bytes:
    unsigned = "\r\n".join([*_folded(_tags(key, names, body_hash, now)), " b="])
    signature = b64encode(key.sign(header_to_sign(fields, names, unsigned.encode()))).decode()
    room = MAX_LINE_OCTETS - len(" b=")
    rest = (signature[start : start + room] for start in range(room, len(signature), room))
    return "\r\n ".join([unsigned + signature[:room], *rest]).encode() + b"\r\n"


def _tags(key: SigningKey, names: Sequence[bytes], body_hash: bytes, now: int) -> Iterator[str]:
    """The field in pieces between which it may be folded (RFC 6376 §3.5)."""
    yield "DKIM-Signature:"
    yield " v=1;"
    yield f" a={key.algorithm};"
    yield " c=relaxed/relaxed;"
    yield f" d={key.domain};"
    yield f" s={key.selector};"
    yield f" t={now};"
    first, *others = [name.decode() for name in names]
    yield f" h={first}"
    yield from (f":{name}" for name in others)
    yield f"; bh={b64encode(body_hash).decode()};"


def _folded(pieces: Iterable[str]) -> list[str]:
    """The lines of a field, without their ends."""
    lines = [""]
    for piece in pieces:
        if len(lines[-1]) + len(piece) <= MAX_LINE_OCTETS:
            lines[-1] += piece
        else:
            lines.append(" " + piece.lstrip(" "))
    return lines
