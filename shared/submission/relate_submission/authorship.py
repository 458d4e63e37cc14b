"""Whether From is an address of the user who submits a message, and the Sender field if it is not (RFC 5322 §3.6.2).

From may name others, because people write for others and forward their mail: then Sender says which account has sent
the message (RFC 6409 §8.1), to recipients here and elsewhere. A field gives an address only if every mail reader sees
that address and no other. Where readers may disagree (a second field of the name, several addresses, a group, a route,
"@" in a name without quotes, control characters) it gives none.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from relate_accounts.ports import Directory
from relate_accounts.types import User
from relate_mime import decode_address, parse_addresses
from relate_mime.fields import strip_comments, unfold
from relate_submission.header import Field, Header

MAX_VALUE_OCTETS = 4_096
"""The longest value that is parsed. A name and an address have a few dozen octets."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some readers accept it before a name, ours too (`relate_mime.fields`)
_QUOTED_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class SenderEdit(NamedTuple):
    """The Sender fields that a message loses, and the field that it gets; empty if it needs none."""

    removed: list[Field]
    added: bytes


NO_EDIT = SenderEdit([], b"")


async def check_authorship(
    header: Header, sender: str, user: User, directory: Directory, *, is_utf8: bool
) -> SenderEdit:
    """Compare From and Sender with the user's addresses. A Sender that is not one of them is removed.

    The Sender that is added is `sender`, the address of the envelope, which the user owns; the primary address for the
    null reverse-path. `is_utf8` means that header fields may have UTF-8 (RFC 6532). Raises TooManyFields,
    AccountsUnavailable.
    """

    async def is_owned(address: str | None) -> bool:
        return address is not None and await directory.owns(user.id, address)

    senders = [*_fields(header, b"sender")]
    if await is_owned(only_address(senders)):
        return NO_EDIT
    if await is_owned(author_of(header)):
        return SenderEdit(senders, b"")
    address = sender or user.address
    if not (address.isascii() or is_utf8):  # without SMTPUTF8 a header has no form for it
        return SenderEdit(senders, b"")
    return SenderEdit(senders, f"Sender: {address}\r\n".encode())


def author_of(header: Header) -> str | None:
    """The address of the only author; None if there are several or none. Raises TooManyFields."""
    return only_address([*_fields(header, b"from")])


def only_address(fields: list[Field]) -> str | None:
    """The only address in the fields of a name; None if there are several or none, or readers may disagree."""
    if len(fields) != 1 or len(fields[0].value) > MAX_VALUE_OCTETS:
        return None
    value = unfold(fields[0].value)
    if _QUOTED_STRING.sub(b"", strip_comments(value)).count(b"@") != 1:
        return None
    structures = parse_addresses(value)
    if len(structures) != 1 or not structures[0].host:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:  # readers guess the charset
        return None
    return None if _CONTROL.search(text) else decode_address(structures[0]).address


def _fields(header: Header, name: bytes) -> Iterator[Field]:
    yield from header.fields(name)
    yield from header.fields(_BYTE_ORDER_MARK + name)
