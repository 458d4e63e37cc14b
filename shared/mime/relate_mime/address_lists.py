"""The addresses of a field, encoded for ENVELOPE and as text.

One regular expression parses the plain addresses, which nearly all are; `addresses` parses the others. Short lists are
cached, because the same correspondents recur.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from relate_mime.addresses import (
    LIST_LIMIT_OCTETS,
    MAX_ADDRESSES,
    AddressStructure,
    decode_address,
    parse_addresses,
)
from relate_mime.fields import unfold
from relate_mime.strings import NIL, encode_nstring
from relate_mime.types import Address
from relate_mime.words import decode_words

CACHE_ENTRIES = 1_024
CACHED_OCTETS = 128
"""Size of the cache, and octets of the longest list in it: usually 1 MB in total, with hostile mail 10 MB."""

_ATOM = rb"[!#-'*+\-./0-9=?A-Z^-~]{1,255}+"  # longer than any mailbox or host may be
_PLAIN = re.compile(  # phrase or quoted string before <mailbox@host>, or mailbox@host; without escapes
    rb' *+(?:(?:"([ !#-\[\]-~]*+)" *+|((?:ATOM *+)*+))<(ATOM)@(ATOM)>|(ATOM)@(ATOM)) *+(?:,|\Z)'.replace(b"ATOM", _ATOM)
)


class AddressList(NamedTuple):
    """The addresses of one field: encoded for ENVELOPE, and as text, including those in groups."""

    encoded: bytes
    addresses: tuple[Address, ...]


NO_ADDRESSES: Final = AddressList(NIL, ())


def read_address_list(value: bytes) -> AddressList:
    """The addresses of a From, To, … value; NO_ADDRESSES if it has none."""
    return (_cached_list if len(value) <= CACHED_OCTETS else _read_list)(value)


def _read_list(value: bytes) -> AddressList:
    value = unfold(value[:LIST_LIMIT_OCTETS])
    return _read_plain(value) or _read_any(value)


_cached_list = lru_cache(CACHE_ENTRIES)(_read_list)


def _read_plain(value: bytes) -> AddressList | None:
    encoded: list[bytes] = []
    addresses: list[Address] = []
    position = 0
    while position < len(value) and len(addresses) < MAX_ADDRESSES:
        match = _PLAIN.match(value, position)
        if match is None:
            return None
        quoted, phrase, mailbox, host, bare_mailbox, bare_host = match.groups()
        mailbox, host = mailbox or bare_mailbox, host or bare_host
        name = b" ".join(phrase.split()) if phrase else quoted
        encoded.append(b'(%b NIL "%b" "%b")' % (b'"%b"' % name if name else NIL, mailbox, host))
        addresses.append(Address(decode_words(name) if name else "", f"{mailbox.decode()}@{host.decode()}"))
        position = match.end()
    return AddressList(b"(%b)" % b"".join(encoded), tuple(addresses)) if addresses else NO_ADDRESSES


def _read_any(value: bytes) -> AddressList:
    structures = parse_addresses(value)
    if not structures:
        return NO_ADDRESSES
    addresses = tuple(decode_address(structure) for structure in structures if structure.host is not None)
    return AddressList(b"(%b)" % b"".join(map(_encode_address, structures)), addresses)


def _encode_address(structure: AddressStructure) -> bytes:
    return b"(%b %b %b %b)" % tuple(map(encode_nstring, structure))
