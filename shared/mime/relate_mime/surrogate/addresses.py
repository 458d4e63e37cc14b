"""Address lists in ASCII (RFC 6857 §3.1): encoded-words for names, A-labels for domains, else empty groups."""

import re
from collections.abc import Iterator, Sequence
from unicodedata import normalize

from relate_mime.addresses import LIST_LIMIT_OCTETS, MAX_ADDRESSES, AddressStructure, parse_addresses
from relate_mime.surrogate.folding import FoldedBody, Kind, Word, split_words

_MAX_LABEL_CHARACTERS = 63  # RFC 1034 §3.1
_NOT_DOT_ATOM = re.compile(r'[\x00-\x20"(),:;<>@\[\\\]\x7f]')
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]++")


def encode_addresses(name: str, value: str) -> str | None:
    """A field of addresses; None if it has none. Comments are dropped, except for those that are a display name."""
    structures = parse_addresses(value.encode())
    if not structures:
        return None
    body = FoldedBody(name)
    for index, group in enumerate(_groups(structures)):
        if index:
            body.add_special(",")
        _add_group(body, group)
    return str(body)


def encodes_exactly(value: str) -> bool:
    """Whether `encode_addresses` keeps all addresses: none needs UTF-8, and the parser's limits are not reached."""
    octets = value.encode()
    if len(octets) > LIST_LIMIT_OCTETS:
        return False
    structures = parse_addresses(octets)
    return len(structures) < MAX_ADDRESSES and all(_address(structure).isascii() for structure in structures)


def _groups(structures: Sequence[AddressStructure]) -> Iterator[list[AddressStructure]]:
    """Each address alone, and each group followed by its members, without its end marker."""
    group: list[AddressStructure] = []
    for structure in structures:
        if structure.host is None and structure.mailbox is not None:
            group = [structure]
        elif structure.host is None:
            yield group
            group = []
        elif group:
            group.append(structure)
        else:
            yield [structure]


def _add_group(body: FoldedBody, group: list[AddressStructure]) -> None:
    first, *members = group
    if first.host is not None:
        _add_address(body, first)
        return
    if not all(_address(member).isascii() for member in members):  # groups do not nest
        texts = [_text(member) for member in members]
        _add_empty_group(body, f"{_decode(first.mailbox)}: {', '.join(texts)}")
        return
    _add_phrase(body, _decode(first.mailbox))
    body.add_special(":")
    for index, member in enumerate(members):
        if index:
            body.add_special(",")
        _add_address(body, member)
    body.add_special(";")


def _add_address(body: FoldedBody, structure: AddressStructure) -> None:
    name, address = _decode(structure.name), _address(structure)
    if not (structure.host or name):  # a phrase without an address
        _add_phrase(body, _decode(structure.mailbox))
    elif address.isascii():
        _add_phrase(body, name)
        body.add(" ", f"<{address}>" if name else address)
    else:
        _add_empty_group(body, _text(structure))


def _add_empty_group(body: FoldedBody, text: str) -> None:
    _add_phrase(body, text)
    body.add(" ", ":;")  # RFC 6857 §3.1.7


def _address(structure: AddressStructure) -> str:
    mailbox, host = _decode(structure.mailbox), _decode(structure.host)
    return _quote(mailbox) + (f"@{_encode_domain(host)}" if host else "")


def _text(structure: AddressStructure) -> str:
    """The address with its display name, in UTF-8."""
    name, mailbox, host = map(_decode, structure[:1] + structure[2:])
    address = f"{_quote(mailbox)}@{host}" if host else mailbox
    return f"{name} <{address}>" if name else address


def _decode(octets: bytes | None) -> str:
    return (octets or b"").decode(errors="replace")


def _add_phrase(body: FoldedBody, phrase: str) -> None:
    words = split_words(f" {phrase}", in_phrase=True)
    if all(word.kind is Kind.PLAIN for word in words) or not phrase.isascii():
        body.add_words(words)
    elif all(word.kind is not Kind.TEXT or _DOT_ATOM.fullmatch(word.text) for word in words):
        body.add_words(Word(space, text, Kind.PLAIN) for space, text, _ in words)
    else:
        body.add(" ", _quote_string(phrase))


def _quote(mailbox: str) -> str:
    return mailbox if not mailbox or not _NOT_DOT_ATOM.search(mailbox) else _quote_string(mailbox)


def _quote_string(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _encode_domain(domain: str) -> str:
    """A domain with A-labels for its U-labels (RFC 5890 §2.3.2.1), except for those that are too long."""
    return ".".join(map(_encode_label, domain.split(".")))


def _encode_label(label: str) -> str:
    if label.isascii() or len(label) > _MAX_LABEL_CHARACTERS:
        return label
    encoded = "xn--" + normalize("NFC", label.lower()).encode("punycode").decode()
    return encoded if len(encoded) <= _MAX_LABEL_CHARACTERS else label
