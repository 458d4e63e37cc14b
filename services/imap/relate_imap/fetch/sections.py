"""Which octets of a message BODY[…] and BINARY[…] name (RFC 9051 §6.4.5). Pure: over an index, or a header."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from relate_imap.commands import Section, SectionText
from relate_mailstore.types import MessageIndex, Part

_OF_HEADER = frozenset({SectionText.HEADER, SectionText.FIELDS, SectionText.FIELDS_NOT})
_CHOSEN_FIELDS = frozenset({SectionText.FIELDS, SectionText.FIELDS_NOT})
_OF_PART = frozenset({SectionText.CONTENT, SectionText.MIME})

MAX_FIELDS_OCTETS = 1_048_576
"""Of a header out of which fields are chosen: no mail has more, and a stranger's must not hold up all others."""

_FIELD = re.compile(rb"^(?:\xef\xbb\xbf)?+([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+", re.MULTILINE)


class Span(NamedTuple):
    """The octets [start, stop) of a raw message."""

    start: int
    stop: int

    def clip(self, partial: tuple[int, int] | None) -> "Span":
        """The part of it that `<offset.octets>` names: nothing, where that begins behind the end."""
        if partial is None:
            return self
        offset, octets = partial
        start = min(self.start + offset, self.stop)
        return Span(start, min(start + octets, self.stop))

    @property
    def octets(self) -> int:
        """How many there are."""
        return self.stop - self.start


def is_top_header(section: Section) -> bool:
    """Whether the header of the message itself holds all of it."""
    return not section.part and section.text in _OF_HEADER


def is_whole_message(section: Section) -> bool:
    """Whether it is the message as it is."""
    return not section.part and section.text is SectionText.CONTENT


def is_field_list(section: Section) -> bool:
    """Whether it is a choice of fields out of a header, and not octets in a row."""
    return section.text in _CHOSEN_FIELDS


def includes_body(section: Section) -> bool:
    """Whether there is more in it than a header."""
    return section.text in {SectionText.CONTENT, SectionText.TEXT}


Parts = Mapping[str, Part]
"""The parts of a message by their specifiers, as the index has them."""


def parts_of(index: MessageIndex) -> Parts:
    """The parts of a message, each found at once: there may be thousands, and as many be asked for."""
    return {part.section: part for part in reversed(index.parts)}


def find_part(section: Section, parts: Parts) -> Part | None:
    """The part that a section is about; None where there is no such part.

    A part's own content and MIME header are the part's; HEADER and TEXT are those of the message in it.
    """
    name = section.part
    if name and section.text not in _OF_PART:
        name += "."
    return parts.get(name)


def find_span(section: Section, parts: Parts, size: int) -> Span | None:
    """Where a section lies in a message of `size` octets; None for a part that is not there.

    Where fields are chosen out of a header, it is as much of that as is looked at.
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
    """What a section of a header is, the header at hand."""
    octets = choose_fields(section)(header[:MAX_FIELDS_OCTETS]) if is_field_list(section) else header
    if partial is None:
        return octets
    offset, count = partial
    return octets[offset : offset + count]


@lru_cache(256)
def choose_fields(section: Section) -> Callable[[bytes], bytes]:
    """HEADER.FIELDS and HEADER.FIELDS.NOT: fields as they were written, in their order, and an empty line.

    Every field is looked at once, however many names there are.
    """
    names = frozenset(field.encode() for field in section.fields)
    wanted = section.text is SectionText.FIELDS

    def choose(header: bytes) -> bytes:
        found = _FIELD.finditer(header)
        fields = b"".join([field[0] for field in found if (field[1].upper() in names) is wanted])
        return fields + (b"\r\n" if not fields or fields.endswith(b"\n") else b"\r\n\r\n")

    return choose


def replace_nul(octets: bytes) -> bytes:
    """No string may hold NUL, only BINARY's literal8 (RFC 9051 §4.3.1): what cannot be told becomes 0x80."""
    return octets.replace(b"\0", b"\x80")
