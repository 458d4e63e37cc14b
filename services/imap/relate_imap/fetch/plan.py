"""The attributes of a FETCH, compiled once for all its messages (RFC 9051 §7.5.2). Pure.

What comes out of memory, or out of one question for many messages, is a column: from a batch to a value for each of its
messages. The columns of a batch side by side, through one format, are its responses. So most of the work is done
without a step of Python for each message. What has to be read message by message is left in `bodies`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import compress, repeat
from operator import attrgetter
from typing import NamedTuple

from relate_imap import responses
from relate_imap.commands import Attribute, BinarySize, Body, Item
from relate_imap.fetch.sections import header_section, includes_body, is_top_header, is_whole_message, replace_nul
from relate_imap.selected.sequence_set import EMPTY, SequenceSet
from relate_mailstore.mime import without_extensions
from relate_mailstore.ports import RawMessage
from relate_mailstore.types import Entry, MessageId, MessageIndex, Rendering


@dataclass(slots=True)
class Batch:
    """Messages that are answered together, and what was asked of the store for all of them."""

    numbers: Sequence[int]
    entries: Sequence[Entry]
    renderings: Sequence[Rendering] = ()
    headers: Sequence[bytes] = ()
    indexes: Sequence[MessageIndex] = ()
    opened: Sequence[RawMessage] = ()

    @property
    def ids(self) -> Sequence[MessageId]:
        """What the store is asked for."""
        return [*map(_message_id, self.entries)]

    def add_results(self, field: str, answers: Sequence[object]) -> None:
        """One more answer of the store for each message. Those of which it had none are gone, and no longer in it."""
        setattr(self, field, answers)
        if all(answers):  # nearly always: an empty header counts as none here, and is looked at again
            return
        there = [answer is not None for answer in answers]
        for name in self.__slots__:
            setattr(self, name, [*compress(getattr(self, name), there)])


Column = Callable[[Batch], Iterable[object]]

_uid, _size, _modseq = attrgetter("uid"), attrgetter("size"), attrgetter("modseq")
_flags, _keywords = attrgetter("flags"), attrgetter("keywords")
_internal_date, _saved, _message_id = attrgetter("internal_date"), attrgetter("saved"), attrgetter("message_id")
_hex = attrgetter("hex")
_envelope, _bodystructure = attrgetter("envelope"), attrgetter("bodystructure")
_preview, _thread = attrgetter("preview"), attrgetter("thread")

_ENTRY_COLUMNS: dict[str, tuple[bytes, Column]] = {
    "UID": (b"UID %d", lambda batch: map(_uid, batch.entries)),
    "INTERNALDATE": (b"INTERNALDATE %b", lambda batch: map(responses.date_time, map(_internal_date, batch.entries))),
    "RFC822.SIZE": (b"RFC822.SIZE %d", lambda batch: map(_size, batch.entries)),
    "MODSEQ": (b"MODSEQ (%d)", lambda batch: map(_modseq, batch.entries)),
    "EMAILID": (b"EMAILID (M%b)", lambda batch: map(str.encode, map(_hex, map(_message_id, batch.entries)))),
    "SAVEDATE": (b"SAVEDATE %b", lambda batch: map(responses.date_time, map(_saved, batch.entries))),
}

_RENDERING_COLUMNS: dict[str, tuple[bytes, Column]] = {
    "ENVELOPE": (b"ENVELOPE %b", lambda batch: map(_envelope, batch.renderings)),
    "BODY": (b"BODY %b", lambda batch: map(without_extensions, map(_bodystructure, batch.renderings))),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", lambda batch: map(_bodystructure, batch.renderings)),
    "THREADID": (b"THREADID (T%b)", lambda batch: map(str.encode, map(_thread, batch.renderings))),
}


# Sections of the header that are answered for many messages together; more are read message by message, as bodies are,
# because all of them together are in memory.
MAX_HEADER_COLUMNS = 4


class Reader(NamedTuple):
    """What this client makes of attributes: whether it takes UTF-8, and which UIDs are \\Recent for it."""

    utf8: bool
    recent: SequenceSet = EMPTY


@dataclass(frozen=True, slots=True)
class Plan:
    """How a list of attributes is answered.

    `form` is a response, up to its `bodies`; `columns` are what goes into it, after the number.
    """

    form: bytes
    columns: tuple[Column, ...]
    bodies: tuple[Body | BinarySize, ...]
    needs_renderings: bool
    needs_headers: bool
    needs_index: bool
    shows_content: bool
    """Whether a message answered by it was retrieved, and not only its header."""

    @property
    def in_memory(self) -> bool:
        """Whether nothing is asked of the store."""
        return not (self.needs_renderings or self.needs_headers or self.bodies)

    def lines(self, batch: Batch) -> Iterator[bytes]:
        """A response for each message of a batch; where there are bodies, the beginning of one."""
        return map(self.form.__mod__, zip(batch.numbers, *[column(batch) for column in self.columns], strict=True))


@lru_cache(256)
def make_plan(attributes: tuple[Attribute, ...], reader: Reader) -> Plan:
    """Compile a list of attributes; each is answered once. Programs ask for the same few lists all day long."""
    distinct = dict.fromkeys(attributes)
    headers = sum(isinstance(one, Body) and not one.binary and is_top_header(one.section) for one in distinct)
    fields: list[tuple[bytes, Column]] = []
    bodies: list[Body | BinarySize] = []
    needs_renderings = needs_headers = False
    for attribute in distinct:
        match attribute:
            case Item(name):
                needs_renderings = needs_renderings or name in _RENDERING_COLUMNS or name == "PREVIEW"
                fields.append(_item_field(name, reader))
            case Body(section, binary=False) if is_top_header(section) and headers <= MAX_HEADER_COLUMNS:
                needs_headers = True
                fields.append(_header_field(attribute))
            case _:
                bodies.append(attribute)
    form = b"* %d FETCH (" + b" ".join([form for form, _ in fields])
    return Plan(
        form + ((b" " if fields else b"") if bodies else b")\r\n"),
        tuple(column for _, column in fields),
        tuple(bodies),
        needs_renderings,
        needs_headers,
        needs_index=not all(is_whole_message(body.section) for body in bodies),
        shows_content=any(isinstance(body, Body) and (body.binary or includes_body(body.section)) for body in bodies),
    )


def label_of(body: Body) -> bytes:
    """The name under which a section is returned: with where it begins, if that was asked for."""
    return body.label if body.partial is None else b"%b<%d>" % (body.label, body.partial[0])


def _item_field(name: str, reader: Reader) -> tuple[bytes, Column]:
    match name:
        case "FLAGS":
            return b"FLAGS %b", partial(_flag_lists, reader.recent)
        case "PREVIEW":
            return b"PREVIEW %b", partial(_previews, reader.utf8)
        case _:
            return _ENTRY_COLUMNS.get(name) or _RENDERING_COLUMNS[name]


def _header_field(body: Body) -> tuple[bytes, Column]:
    return label_of(body).replace(b"%", b"%%") + b" %b", partial(_header_sections, body)


def _flag_lists(recent_uids: SequenceSet, batch: Batch) -> Iterable[bytes]:
    entries = batch.entries
    some = entries and recent_uids.ranges and entries[-1].uid >= recent_uids.ranges[0][0]
    recent = map(recent_uids.__contains__, map(_uid, entries)) if some else repeat(False)
    return map(responses.flag_list, map(_flags, entries), map(_keywords, entries), recent)


def _previews(utf8: bool, batch: Batch) -> Iterable[bytes]:
    return (responses.string(preview.encode(), utf8=utf8) for preview in map(_preview, batch.renderings))


def _header_sections(body: Body, batch: Batch) -> Iterator[bytes]:
    for header in batch.headers:
        octets = replace_nul(header_section(body.section, header, body.partial))
        yield b"{%d}\r\n%b" % (len(octets), octets)
