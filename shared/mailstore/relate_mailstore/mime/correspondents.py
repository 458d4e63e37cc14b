"""The people of a field, as ENVELOPE lists them and as text.

Nearly every address is plain, and one regular expression reads it; all others go through `addresses`. The same people
write to one another, so short lists are read once.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from relate_mailstore.mime.addresses import (
    LIST_LIMIT_OCTETS,
    MAX_ADDRESSES,
    AddressStructure,
    decode_address,
    parse_addresses,
)
from relate_mailstore.mime.fields import unfold
from relate_mailstore.mime.strings import NIL, encode_nstring
from relate_mailstore.mime.words import decode_words
from relate_mailstore.types import Address

KEPT = 1_024
KEPT_OCTETS = 128
"""Lists kept, and octets of the longest of them: about 1 MB in all, 10 MB if strangers set their minds to it."""

_ATOM = rb"[!#-'*+\-./0-9=?A-Z^-~]{1,255}+"  # longer than any mailbox or host may be
_PLAIN = re.compile(  # phrase or quoted string before <mailbox@host>, or mailbox@host; nothing that wants escaping
    rb' *+(?:(?:"([ !#-\[\]-~]*+)" *+|((?:ATOM *+)*+))<(ATOM)@(ATOM)>|(ATOM)@(ATOM)) *+(?:,|\Z)'.replace(b"ATOM", _ATOM)
)


class AddressList(NamedTuple):
    """The addresses of one field: as ENVELOPE has them, and as text (those in groups, too)."""

    encoded: bytes
    addresses: tuple[Address, ...]


NOBODY: Final = AddressList(NIL, ())


def read_address_list(value: bytes) -> AddressList:
    """The addresses of a From, To, … value; NOBODY when it has none."""
    return (_kept_list if len(value) <= KEPT_OCTETS else _read_list)(value)


def _read_list(value: bytes) -> AddressList:
    value = unfold(value[:LIST_LIMIT_OCTETS])
    return _read_plain(value) or _read_any(value)


_kept_list = lru_cache(KEPT)(_read_list)


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
    return AddressList(b"(%b)" % b"".join(encoded), tuple(addresses)) if addresses else NOBODY


def _read_any(value: bytes) -> AddressList:
    structures = parse_addresses(value)
    if not structures:
        return NOBODY
    addresses = tuple(decode_address(structure) for structure in structures if structure.host is not None)
    return AddressList(b"(%b)" % b"".join(map(_encode_address, structures)), addresses)


def _encode_address(structure: AddressStructure) -> bytes:
    return b"(%b %b %b %b)" % tuple(map(encode_nstring, structure))
