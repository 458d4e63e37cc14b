"""The parameter ORCPT, decoded for the fields of a report (RFC 3461 §4, RFC 6533 §3), also where it is malformed.

The decoded text may contain any character, line ends included.
"""

import re
from typing import NamedTuple

from relate_relay.xtext import decode_xtext

_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}")

RFC822 = "rfc822"
UTF8 = "utf-8"
UNKNOWN = "unknown"


class TypedAddress(NamedTuple):
    """An address with its type (RFC 3464 §2.1.2)."""

    type: str
    address: str


def decode_orcpt(orcpt: str) -> TypedAddress:
    """The original recipient of ORCPT. The type `utf-8` has an encoding of its own (RFC 6533 §3)."""
    address_type, semicolon, encoded = orcpt.partition(";")
    if not semicolon or not _ADDRESS_TYPE.fullmatch(address_type):
        return TypedAddress(UNKNOWN, decode_xtext(orcpt))
    if address_type.lower() == UTF8:
        return TypedAddress(UTF8, _EMBEDDED.sub(_decode_embedded, encoded))
    return TypedAddress(address_type, decode_xtext(encoded))


def typed(address: str) -> TypedAddress:
    """An address of the envelope with its type."""
    return TypedAddress(RFC822 if address.isascii() else UTF8, address)


def _decode_embedded(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= 0x10FFFF else match[0]
