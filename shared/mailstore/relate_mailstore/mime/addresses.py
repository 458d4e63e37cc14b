"""Address lists (RFC 5322 §3.4 with §4.4): the octets of each part of an address, as an ENVELOPE wants them.

The parser finds an address in anything: comments, groups, routes, domain literals, mistakes.
"""

import re
from typing import Final, NamedTuple

from relate_mailstore.mime.charsets import clean_value, decode_unlabelled
from relate_mailstore.mime.fields import comment_end, unfold, unquote
from relate_mailstore.mime.words import decode_words
from relate_mailstore.types import Address

MAX_ADDRESSES = 1_000
"""Addresses of one field that are listed. Lists longer than what SMTP servers take as recipients are not read by
people, and an address of two octets becomes twenty in an envelope."""

_DOT_ATOM = re.compile(rb'[^\x00-\x20"(),:;<>@\[\\\]\x7f]++')
_TOKEN = re.compile(
    rb'\s++|"((?:[^"\\]++|\\.?)*+)"?|([(<>@,:;])|(\[[^\]]*+\]?|[^\s"(\[<>@,:;]++)',
    re.DOTALL,
)


class AddressStructure(NamedTuple):
    """An address as RFC 9051 §7.5.2 lists it: raw octets, unquoted.

    `host` None marks a group: it starts where `mailbox` is its name, and ends where that is None too. An address
    without a domain has the host b"".
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END: Final = AddressStructure(None, None, None, None)


def parse_addresses(value: bytes) -> tuple[AddressStructure, ...]:
    """The addresses of a From, To, … value, groups included, in order: MAX_ADDRESSES at most."""
    return tuple(_Parser(unfold(value)).parse())


def decode_address(structure: AddressStructure) -> Address:
    """The same address as text; a mailbox that is no dot-atom is quoted."""
    address = structure.mailbox or b""
    if address and not _DOT_ATOM.fullmatch(address):
        address = b'"%b"' % address.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if structure.host:
        address = b"%b@%b" % (address, structure.host)
    return Address(decode_words(structure.name or b""), clean_value(decode_unlabelled(address)))


_AT: Final = None
"""The token "@", which a quoted "@" must not be taken for."""

_Tokens = list[bytes | None]


class _Parser:
    """Reads token after token: `words` are those outside of <…>, `angle` those inside it."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.addresses: list[AddressStructure] = []
        self.in_group = False
        self.begin_address()

    def begin_address(self) -> None:
        self.words: _Tokens = []
        self.angle: _Tokens | None = None
        self.tokens = self.words  # the one of the two that is being filled
        self.route: bytes | None = None
        self.comment = b""

    def parse(self) -> list[AddressStructure]:
        position = 0
        while len(self.addresses) < MAX_ADDRESSES and (token := _TOKEN.match(self.value, position)):
            position = self.on_comment(position) if token[2] == b"(" else self.on_token(token)
        self.end_address()
        self.end_group()
        return self.addresses

    def on_token(self, token: re.Match[bytes]) -> int:
        quoted, special, atom = token.groups()
        if special:
            self.on_special(special)
        elif quoted is not None:
            self.tokens.append(unquote(quoted))
        elif atom:
            self.tokens.append(atom)
        return token.end()

    def on_special(self, special: bytes) -> None:
        if special == b"@":
            self.tokens.append(_AT)
        elif special == b"<":
            self.angle = self.tokens = []
        elif special == b">":
            self.tokens = self.words
        elif special == b":":
            self.on_colon()
        elif special == b"," and self.in_route():
            self.tokens.append(special)
        else:
            self.end_address()
            if special == b";":
                self.end_group()

    def on_colon(self) -> None:
        if self.in_route():
            self.route = _join(self.tokens)
            self.tokens.clear()
        elif self.in_group or self.tokens is self.angle:
            self.tokens.append(b":")  # groups do not nest
        else:
            self.addresses.append(AddressStructure(None, None, _join(self.words, b" "), None))
            self.in_group = True
            self.begin_address()

    def on_comment(self, start: int) -> int:
        end = comment_end(self.value, start)
        if not self.comment:
            self.comment = b" ".join(unquote(self.value[start + 1 : end].removesuffix(b")")).split())
        return end

    def in_route(self) -> bool:
        return self.tokens is self.angle and self.angle[:1] == [_AT]

    def end_address(self) -> None:
        """Add what was read, if that was an address: a phrase before <…>, or else a comment, is its name."""
        if self.angle is not None:
            self.add(_join(self.words, b" ") or self.comment, *_split(self.angle))
        elif _AT in self.words:
            self.add(self.comment, *_split(self.words))
        elif self.words:
            self.add(self.comment, _join(self.words, b" "), b"")
        self.begin_address()

    def add(self, name: bytes, mailbox: bytes, host: bytes) -> None:
        self.addresses.append(AddressStructure(name or None, self.route, mailbox, host))

    def end_group(self) -> None:
        if self.in_group:
            self.addresses.append(GROUP_END)
        self.in_group = False


def _join(tokens: _Tokens, separator: bytes = b"") -> bytes:
    return separator.join(b"@" if token is _AT else token for token in tokens)


def _split(tokens: _Tokens) -> tuple[bytes, bytes]:
    """Mailbox and host: what is before and after the last "@"."""
    if _AT not in tokens:
        return _join(tokens), b""
    at = len(tokens) - 1 - tokens[::-1].index(_AT)
    return _join(tokens[:at]), _join(tokens[at + 1 :])
