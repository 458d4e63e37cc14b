"""FETCH: attributes, sections and their labels, modifiers (RFC 9051 §6.4.5, RFC 3516, 7162, 8474, 8514, 8970, 9394)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from relate_imap.commands import Attribute, BinarySize, Body, Fetch, Item, Section, SectionText
from relate_imap.grammar.cursor import ASTRING_CHAR, MAX_63_BIT_NUMBER, Cursor, Malformed
from relate_imap.grammar.partial import partial_range
from relate_mailstore.types import ModSeq

_FAST: tuple[Attribute, ...] = (Item("FLAGS"), Item("INTERNALDATE"), Item("RFC822.SIZE"))
MACROS: Mapping[str, tuple[Attribute, ...]] = {
    "FAST": _FAST,
    "ALL": (*_FAST, Item("ENVELOPE")),
    "FULL": (*_FAST, Item("ENVELOPE"), Item("BODY")),
}
ITEMS = frozenset(
    {"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"}  # RFC 9051
    | {"MODSEQ", "EMAILID", "THREADID", "SAVEDATE", "PREVIEW"}  # RFC 7162, 8474, 8514, 8970
)
OLD_BODIES: Mapping[str, Body] = {  # RFC 3501 §6.4.5
    "RFC822": Body(Section(), b"RFC822"),
    "RFC822.HEADER": Body(Section(text=SectionText.HEADER), b"RFC822.HEADER", peek=True),
    "RFC822.TEXT": Body(Section(text=SectionText.TEXT), b"RFC822.TEXT"),
}

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+")
_TEXT = re.compile(rb"HEADER(?:\.FIELDS(?:\.NOT)?)?|TEXT|MIME", re.IGNORECASE)
_ASTRING = re.compile(ASTRING_CHAR + rb"+")
_LAZY = re.compile(rb" *+\( *+LAZY *+\)", re.IGNORECASE)
_FIELD = re.compile(rb"[ -~]*")
# Of a part number; deeper than the levels that `relate_mime` parses.
MAX_LEVELS = 100


# Of one FETCH: each may send the whole message once more. Clients request a few, and each part of a message one by one.
MAX_ATTRIBUTES = 250


class Modifiers(NamedTuple):
    """The modifiers in parentheses after the attributes."""

    changed_since: ModSeq | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


def fetch(cursor: Cursor, tag: str, verb: str) -> Fetch:
    """FETCH numbers attributes [(modifiers)]"""
    cursor.expect_space()
    numbers = cursor.sequence_set()
    cursor.expect_space()
    # A repeated attribute counts once, so that six more octets do not send a message again.
    attributes = tuple(dict.fromkeys(_attributes(cursor)))
    modifiers = Modifiers()
    if not cursor.at_end:
        cursor.expect_space()
        modifiers = _modifiers(cursor, uid=verb.startswith("UID "))
    cursor.expect_end()
    return Fetch(tag, verb, numbers, attributes, *modifiers)


def _attributes(cursor: Cursor) -> "list[Attribute] | tuple[Attribute, ...]":
    if cursor.starts_with(b"("):
        return cursor.parenthesized(_attribute, maximum=MAX_ATTRIBUTES)
    name = _name(cursor)
    return MACROS[name] if name in MACROS else [_named(cursor, name)]


def _attribute(cursor: Cursor) -> Attribute:
    return _named(cursor, _name(cursor))


def _name(cursor: Cursor) -> str:
    found = cursor.match(_NAME)
    if found is None:
        raise Malformed("An attribute is expected")
    return found[0].decode("ascii").upper()


def _named(cursor: Cursor, name: str) -> Attribute:
    if cursor.starts_with(b"["):
        return _sectioned(cursor, name)
    if name in OLD_BODIES:
        return OLD_BODIES[name]
    if name not in ITEMS:
        raise Malformed("Unknown attribute")
    if name == "PREVIEW":
        cursor.match(_LAZY)  # RFC 8970 §3.2: previews are stored, so LAZY has no effect
    return Item(name)


def _sectioned(cursor: Cursor, name: str) -> Attribute:
    match name:
        case "BODY" | "BODY.PEEK":
            section, inner = _section(cursor)
            label = b"BODY[%b]" % inner
            return Body(section, label, name.endswith("PEEK"), _partial(cursor))
        case "BINARY" | "BINARY.PEEK":
            section, inner = _binary_section(cursor)
            label = b"BINARY[%b]" % inner
            return Body(section, label, name.endswith("PEEK"), _partial(cursor), binary=True)
        case "BINARY.SIZE":
            section, inner = _binary_section(cursor)
            return BinarySize(section, b"BINARY.SIZE[%b]" % inner)
        case _:
            raise Malformed("Unknown attribute")


def _section(cursor: Cursor) -> tuple[Section, bytes]:
    """A section, and how its label spells it."""
    cursor.expect(b"[", "A bracket is expected")
    part = _part(cursor)
    text, label = SectionText.CONTENT, part
    fields: tuple[str, ...] = ()
    if not part or cursor.accept(b"."):
        text = _text(cursor, required=bool(part))
        label = f"{part}.{text}" if part else text.value
    if text is SectionText.MIME and not part:
        raise Malformed("MIME needs a part number")
    inner = label.encode("ascii")
    if text in (SectionText.FIELDS, SectionText.FIELDS_NOT):
        cursor.expect_space()
        names = cursor.parenthesized(_field)
        fields = tuple(name.decode("ascii").upper() for name in names)
        inner += b" (%b)" % b" ".join(map(_encode_field, names))
    cursor.expect(b"]", "A bracket is expected")
    return Section(part, text, fields), inner


def _binary_section(cursor: Cursor) -> tuple[Section, bytes]:
    cursor.expect(b"[", "A bracket is expected")
    part = _part(cursor)
    cursor.expect(b"]", "A bracket is expected")
    return Section(part), part.encode("ascii")


def _part(cursor: Cursor) -> str:
    found = cursor.match(_PART)
    part = found[0].decode("ascii") if found is not None else ""
    if part.count(".") >= MAX_LEVELS:
        raise Malformed("Nested too deeply")
    return part


def _text(cursor: Cursor, *, required: bool) -> SectionText:
    found = cursor.match(_TEXT)
    if found is None and required:
        raise Malformed("A section's text is expected")
    return SectionText(found[0].decode("ascii").upper()) if found is not None else SectionText.CONTENT


def _field(cursor: Cursor) -> bytes:
    octets = cursor.astring()
    if not _FIELD.fullmatch(octets):
        raise Malformed("A field's name is expected")
    return octets


def _encode_field(name: bytes) -> bytes:
    if _ASTRING.fullmatch(name):
        return name
    return b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    """<offset.octets>; Dovecot accepts 0 octets, and <offset> for everything after it."""
    if not cursor.accept(b"<"):
        return None
    offset = cursor.number64()
    octets = cursor.number64() if cursor.accept(b".") else MAX_63_BIT_NUMBER
    cursor.expect(b">", "A bracket is expected")
    return offset, octets


def _modifiers(cursor: Cursor, *, uid: bool) -> Modifiers:
    given = cursor.parenthesized(_modifier)
    values = dict(given)
    if len(values) < len(given):
        raise Malformed("A modifier is given twice")
    modifiers = Modifiers(**values)
    if modifiers.vanished and not (uid and modifiers.changed_since is not None):
        raise Malformed("VANISHED needs UID FETCH and CHANGEDSINCE")  # RFC 7162 §3.2.6
    if modifiers.partial and not uid:
        raise Malformed("PARTIAL needs UID FETCH")  # RFC 9394 §3.3
    return modifiers


def _modifier(cursor: Cursor) -> tuple[str, Any]:
    match cursor.word():
        case "CHANGEDSINCE":
            cursor.expect_space()
            return "changed_since", ModSeq(cursor.number64())
        case "VANISHED":
            return "vanished", True
        case "PARTIAL":
            cursor.expect_space()
            return "partial", partial_range(cursor)
        case _:
            raise Malformed("Unknown modifier")
