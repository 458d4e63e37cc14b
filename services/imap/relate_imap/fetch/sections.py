"""Locates the octets that BODY[…] and BINARY[…] select in a message (RFC 9051 §6.4.5). Pure."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from relate_imap.commands import Section, SectionText
from relate_mime import MessageIndex, Part

_OF_HEADER = frozenset({SectionText.HEADER, SectionText.FIELDS, SectionText.FIELDS_NOT})
_CHOSEN_FIELDS = frozenset({SectionText.FIELDS, SectionText.FIELDS_NOT})
_OF_PART = frozenset({SectionText.CONTENT, SectionText.MIME})

MAX_FIELDS_OCTETS = 1_048_576
"""Of a header from which fields are selected: legitimate mail has less, and a hostile one must not block the server."""

_FIELD = re.compile(rb"^(?:\xef\xbb\xbf)?+([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+", re.MULTILINE)


class Span(NamedTuple):
    """The octets [start, stop) of a raw message."""

    start: int
    stop: int

    def clip(self, partial: tuple[int, int] | None) -> "Span":
        """The part of it that `<offset.octets>` selects; empty if the offset is beyond the end."""
        if partial is None:
            return self
        offset, octets = partial
        start = min(self.start + offset, self.stop)
        return Span(start, min(start + octets, self.stop))

    @property
    def octets(self) -> int:
        """The number of octets."""
        return self.stop - self.start


def is_top_header(section: Section) -> bool:
    """Whether it is part of the message's own header."""
    return not section.part and section.text in _OF_HEADER


def is_whole_message(section: Section) -> bool:
    """Whether it is the whole message."""
    return not section.part and section.text is SectionText.CONTENT


def is_field_list(section: Section) -> bool:
    """Whether it is a selection of header fields, which is not one span of octets."""
    return section.text in _CHOSEN_FIELDS


def includes_body(section: Section) -> bool:
    """Whether it includes more than a header."""
    return section.text in {SectionText.CONTENT, SectionText.TEXT}


Parts = Mapping[str, Part]
"""The parts of a message by part specifier."""


def parts_of(index: MessageIndex) -> Parts:
    """The parts of a message as a mapping, because thousands may be looked up in thousands."""
    return {part.section: part for part in reversed(index.parts)}


def find_part(section: Section, parts: Parts) -> Part | None:
    """The part that a section selects; None if it does not exist.

    CONTENT and MIME belong to the part itself, HEADER and TEXT to the message in it.
    """
    name = section.part
    if name and section.text not in _OF_PART:
        name += "."
    return parts.get(name)


def find_span(section: Section, parts: Parts, size: int) -> Span | None:
    """The span of a section in a message of `size` octets; None if the part does not exist.

    For a field selection, it is the header up to MAX_FIELDS_OCTETS.
    """
    if is_whole_message(section):
        return Span(0, size)
    part = find_part(section, parts)
    if part is None:
        return None
    if includes_body(section):
        return Span(part.body, part.end)
    header = Span(part.header, part.body)
    return header.clip((0, MAX_FIELDS_OCTETS)) if is_field_list(section) else header


def header_section(section: Section, header: bytes, partial: tuple[int, int] | None) -> bytes:
    """The octets of a header section, given the header."""
    octets = choose_fields(section)(header[:MAX_FIELDS_OCTETS]) if is_field_list(section) else header
    if partial is None:
        return octets
    offset, count = partial
    return octets[offset : offset + count]


@lru_cache(256)
def choose_fields(section: Section) -> Callable[[bytes], bytes]:
    """HEADER.FIELDS and HEADER.FIELDS.NOT: the selected fields unchanged, in their order, and an empty line.

    One pass over the header, regardless of the number of names.
    """
    names = frozenset(field.encode() for field in section.fields)
    included = section.text is SectionText.FIELDS

    def choose(header: bytes) -> bytes:
        found = _FIELD.finditer(header)
        fields = b"".join([field[0] for field in found if (field[1].upper() in names) is included])
        return fields + (b"\r\n" if not fields or fields.endswith(b"\n") else b"\r\n\r\n")

    return choose


def replace_nul(octets: bytes) -> bytes:
    """Replace NUL by 0x80, because only the literal8 of BINARY may contain NUL (RFC 9051 §4.3.1)."""
    return octets.replace(b"\0", b"\x80")
