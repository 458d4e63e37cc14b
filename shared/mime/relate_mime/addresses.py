"""A tolerant parser of address lists (RFC 5322 §3.4 with §4.4), into the raw members of an ENVELOPE address.

It finds addresses among comments, groups, routes, domain literals and syntax errors, but never invents one: it does
not join words that the sender left apart.
"""

import re
from enum import Enum
from typing import Final, NamedTuple

from relate_mime.charsets import clean_value, decode_unlabelled
from relate_mime.fields import comment_end, unfold, unquote
from relate_mime.types import Address
from relate_mime.words import decode_words

MAX_ADDRESSES = 1_000
"""Per field. SMTP servers accept no more recipients, and an address of two octets grows to twenty in an envelope."""

LIST_LIMIT_OCTETS = 131_072
"""Octets of a field that are parsed: twice what MAX_ADDRESSES usually take."""

_DOT_ATOM = re.compile(rb'[^\x00-\x20"(),:;<>@\[\\\]\x7f]++')
_TOKEN = re.compile(
    rb'(\s++)|"((?:[^"\\]++|\\.?)*+)("?)|([()<>@,:;])|(\[[^\]\s"()<>@,]*+\]?|[^\s"()\[<>@,:;]++)',
    re.DOTALL,
)
_BEHIND_CLOSING_QUOTE = b" \t<@,;:.("


class AddressStructure(NamedTuple):
    """An address structure of RFC 9051 §7.5.2: raw octets, unquoted.

    `host` None marks group syntax: the start of a group, with its name in `mailbox`, or the end, with `mailbox` None.
    The host of an address without a domain is b"".
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END: Final = AddressStructure(None, None, None, None)


def parse_addresses(value: bytes) -> tuple[AddressStructure, ...]:
    """The addresses and groups of a From, To, … value, in order, at most MAX_ADDRESSES."""
    return tuple(_Parser(unfold(value[:LIST_LIMIT_OCTETS])).parse())


def decode_address(structure: AddressStructure) -> Address:
    """The address as text; a mailbox that is not a dot-atom is quoted."""
    address = structure.mailbox or b""
    if address and not _DOT_ATOM.fullmatch(address):
        address = b'"%b"' % address.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if structure.host:
        address = b"%b@%b" % (address, structure.host)
    return Address(decode_words(structure.name or b""), clean_value(decode_unlabelled(address)))


class _Kind(Enum):
    ATOM = "atom"
    QUOTED = "quoted string"
    SPECIAL = "special"
    SPACE = "space"


class _Token(NamedTuple):
    kind: _Kind
    octets: bytes


_AT: Final = _Token(_Kind.SPECIAL, b"@")
_COLON: Final = _Token(_Kind.SPECIAL, b":")
_COMMA: Final = _Token(_Kind.SPECIAL, b",")
_SPACE: Final = _Token(_Kind.SPACE, b" ")

_Tokens = list[_Token]


class _Parser:
    """The state of the parser: `words` are the tokens of the current address outside <…>, `angle` those inside."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.addresses: list[AddressStructure] = []
        self.in_group = False
        self.stray_quotes_end = 0  # a quote before this position is no delimiter
        self.comments_end = len(value)  # a parenthesis from this position on is never closed
        self.surname: list[bytes] = []  # phrases before a comma: `Last, First <…>` is one name
        self.begin_address()

    def begin_address(self, words: _Tokens | None = None) -> None:
        self.words: _Tokens = words or []
        self.angle: _Tokens | None = None
        self.tokens = self.words  # `words` or `angle`: the one that receives tokens
        self.before_angle = 0  # the number of words before <…>
        self.route: bytes | None = None
        self.comment = b""

    def parse(self) -> list[AddressStructure]:
        position = 0
        while self.has_room() and position < len(self.value):
            if position < self.stray_quotes_end and self.value.startswith(b'"', position):
                self.add_space()
                position += 1
            elif token := _TOKEN.match(self.value, position):
                position = self.on_token(token)
            else:
                break
        self.end_address()
        self.add_surname()
        del self.addresses[MAX_ADDRESSES:]
        self.end_group()
        return self.addresses

    def has_room(self) -> bool:
        return len(self.addresses) + len(self.surname) < MAX_ADDRESSES

    def on_token(self, token: re.Match[bytes]) -> int:
        space, quoted, closing, special, atom = token.groups()
        if special == b"(":
            return self.on_comment(token.start())
        if quoted is not None:
            return self.on_quoted(token.start(), token.end(), quoted, closed=bool(closing))
        if space:
            self.add_space()
        elif special:
            self.on_special(special)
        else:
            self.tokens.append(_Token(_Kind.ATOM, atom))
        return token.end()

    def add_space(self) -> None:
        if self.tokens and self.tokens[-1] is not _SPACE:
            self.tokens.append(_SPACE)

    def on_quoted(self, start: int, end: int, quoted: bytes, *, closed: bool) -> int:
        """A quote that is never closed, or only by the opening quote of a later name, is no delimiter."""
        if not closed:
            self.stray_quotes_end = len(self.value)
            return start
        if b">" in quoted and quoted[-1:] in b", \t" and self.opens_quoted(end):
            self.stray_quotes_end = end - 1
            return start
        self.tokens.append(_Token(_Kind.QUOTED, unquote(quoted)))
        return end

    def opens_quoted(self, behind_quote: int) -> bool:
        return behind_quote < len(self.value) and self.value[behind_quote] not in _BEHIND_CLOSING_QUOTE

    def on_special(self, special: bytes) -> None:
        if special == b"@":
            self.tokens.append(_AT)
        elif special == b")":  # closes no comment
            self.add_space()
        elif special == b"<":
            self.begin_angle()
        elif special == b">":
            self.tokens = self.words
            self.before_angle = len(self.words)
            self.add_space()
        elif special == b":":
            self.on_colon()
        elif special == b"," and self.in_route():
            self.tokens.append(_COMMA)
        else:
            self.end_address(before_comma=special == b",")
            if special == b";":
                self.add_surname()
                self.end_group()

    def begin_angle(self) -> None:
        if self.angle and self.tokens is self.words:  # a comma is missing before this one
            words = self.words[self.before_angle :]
            del self.words[self.before_angle :]
            self.end_address()
            self.begin_address(words)
        self.angle = self.tokens = []

    def on_colon(self) -> None:
        if self.in_route():
            self.route = b"".join(token.octets for token in self.tokens if token is not _SPACE)
            self.tokens.clear()
        elif self.in_group or self.tokens is self.angle:
            self.tokens.append(_COLON)  # groups do not nest
        else:
            self.add_surname()
            self.addresses.append(AddressStructure(None, None, _phrase(self.words), None))
            self.in_group = True
            self.begin_address()

    def on_comment(self, start: int) -> int:
        end = comment_end(self.value, start) if start < self.comments_end else None
        self.add_space()
        if end is None:
            self.comments_end = min(self.comments_end, start)
            return start + 1
        if not self.comment:
            self.comment = b" ".join(unquote(self.value[start + 1 : end - 1]).split())
        return end

    def in_route(self) -> bool:
        return self.tokens is self.angle and self.angle[:1] == [_AT]

    def end_address(self, *, before_comma: bool = False) -> None:
        """Add the current address, if there is one. Its name is the phrase before it, or else a comment."""
        name = _phrase(self.words)
        if self.angle is not None:
            after = self.words[self.before_angle :]
            if _AT in after:  # a comma is missing before it
                del self.words[self.before_angle :]
                name = _phrase(self.words)
            self.add_angle(name, self.angle)
            if _AT in after:
                self.add_bare(after)
        elif _AT in self.words:
            self.add_bare(self.words)
        elif name and before_comma:
            self.surname.append(name)
        elif name:
            self.add_surname()
            self.add(self.comment, name, b"")
        self.begin_address()

    def add_angle(self, name: bytes, angle: _Tokens) -> None:
        specs = [word for word in _words(angle) if _AT in word]
        if len(specs) < 2:
            self.add(self.take_surname(name) or self.comment, *_split(angle))
            return
        for word in specs[:MAX_ADDRESSES]:  # commas are missing between them
            self.add(self.take_surname(name), *_split(word))
            name = b""

    def add_bare(self, words: _Tokens) -> None:
        """Add addresses without <…>. The phrase before one, or after the only one, is its name."""
        phrase: _Tokens = []
        first = len(self.addresses)
        for word in _words(words, in_angle=False):
            if _AT not in word:
                phrase += [*word, _SPACE]
                continue
            name = _phrase(phrase)
            self.add((self.take_surname(name) if name else self.list_surname()) or self.comment, *_split(word))
            phrase, self.comment = [], b""
        if (name := _phrase(phrase)) and self.addresses[first:] and not self.addresses[-1].name:
            self.addresses[-1] = self.addresses[-1]._replace(name=name)

    def take_surname(self, name: bytes) -> bytes:
        """The name including the phrases before a comma: `Last, First <…>` is one person."""
        name = b", ".join(filter(None, [*self.surname, name]))
        self.surname.clear()
        return name

    def list_surname(self) -> bytes:
        self.add_surname()
        return b""

    def add_surname(self) -> None:
        """Add each phrase before a comma as an address without a domain, because no address follows it."""
        for word in self.surname:
            self.addresses.append(AddressStructure(None, None, word, b""))
        self.surname.clear()

    def add(self, name: bytes, mailbox: bytes, host: bytes) -> None:
        self.addresses.append(AddressStructure(name or None, self.route, mailbox, host))

    def end_group(self) -> None:
        if self.in_group:
            self.addresses.append(GROUP_END)
        self.in_group = False


def _phrase(tokens: _Tokens) -> bytes:
    return b"".join([token.octets for token in tokens]).strip(b" ")


def _words(tokens: _Tokens, *, in_angle: bool = True) -> list[_Tokens]:
    """The words between spaces, except that space around "@" and dots does not separate (RFC 5322 §4.4).

    Outside <…> a dot may end an abbreviation such as `Inc.`, so only a dot after a space joins its neighbours.
    """
    words: list[_Tokens] = [[]]
    for index, token in enumerate(tokens):
        if token is not _SPACE:
            words[-1].append(token)
        elif not _joins(words[-1][-1:], tokens[index + 1 : index + 2], in_angle):
            words.append([])
    return [word for word in words if word]


def _joins(before: _Tokens, after: _Tokens, in_angle: bool) -> bool:
    if _AT in before or _AT in after:
        return True
    ends_in_dot = any(_is_dot(token.octets[-1:] if in_angle else token.octets, token) for token in before)
    return ends_in_dot or any(_is_dot(token.octets[:1], token) for token in after)


def _is_dot(octets: bytes, token: _Token) -> bool:
    return token.kind is _Kind.ATOM and octets == b"."


def _split(tokens: _Tokens) -> tuple[bytes, bytes]:
    """Mailbox and host: the text before and after the last "@"."""
    if _AT not in tokens:
        return _text(tokens), b""
    at = len(tokens) - 1 - tokens[::-1].index(_AT)
    return _text(tokens[:at]), _text(tokens[at + 1 :])


def _text(tokens: _Tokens) -> bytes:
    return b" ".join([b"".join([token.octets for token in word]) for word in _words(tokens)])
