"""Compiles the attributes of a FETCH once for all its messages (RFC 9051 §7.5.2). Pure.

An attribute that needs only entries, or one store query per batch, is a column: a function from a batch to one value
per message. The columns, zipped and formatted with one template, are the responses; so most of the work runs in C,
without a Python loop per message. Attributes that need each message's content are left in `bodies`.
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
from relate_mailstore.entry_columns import EntryColumns
from relate_mailstore.ports import RawMessage
from relate_mailstore.types import MessageId, Rendering
from relate_mime import MessageIndex, without_extensions


@dataclass(slots=True)
class Batch:
    """Messages that are answered together, and what the store returned for them."""

    numbers: Sequence[int]
    entries: EntryColumns
    renderings: Sequence[Rendering] = ()
    headers: Sequence[bytes] = ()
    indexes: Sequence[MessageIndex] = ()
    opened: Sequence[RawMessage] = ()

    @property
    def ids(self) -> Sequence[MessageId]:
        """The ids to query the store for."""
        return self.entries.message_ids

    def add_results(self, field: str, results: Sequence[object]) -> None:
        """Add one column of store results, and drop the messages that the store no longer has (None)."""
        setattr(self, field, results)
        if all(results):  # the usual case; an empty header fails this test too, and is kept below
            return
        exists = [result is not None for result in results]
        for name in ("numbers", "renderings", "headers", "indexes", "opened"):
            setattr(self, name, [*compress(getattr(self, name), exists)])
        self.entries = self.entries.pick([*compress(range(len(exists)), exists)])


Column = Callable[[Batch], Iterable[object]]

_hex = attrgetter("hex")
_envelope, _bodystructure = attrgetter("envelope"), attrgetter("bodystructure")
_preview, _thread = attrgetter("preview"), attrgetter("thread")

_ENTRY_COLUMNS: dict[str, tuple[bytes, Column]] = {
    "UID": (b"UID %d", lambda batch: batch.entries.uid),
    "INTERNALDATE": (b"INTERNALDATE %b", lambda batch: map(responses.date_time, batch.entries.internal_date)),
    "RFC822.SIZE": (b"RFC822.SIZE %d", lambda batch: batch.entries.size),
    "MODSEQ": (b"MODSEQ (%d)", lambda batch: batch.entries.modseq),
    "EMAILID": (b"EMAILID (M%b)", lambda batch: map(str.encode, map(_hex, batch.ids))),
    "SAVEDATE": (b"SAVEDATE %b", lambda batch: map(responses.date_time, batch.entries.saved)),
}

_RENDERING_COLUMNS: dict[str, tuple[bytes, Column]] = {
    "ENVELOPE": (b"ENVELOPE %b", lambda batch: map(_envelope, batch.renderings)),
    "BODY": (b"BODY %b", lambda batch: map(without_extensions, map(_bodystructure, batch.renderings))),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", lambda batch: map(_bodystructure, batch.renderings)),
    "THREADID": (b"THREADID (T%b)", lambda batch: map(str.encode, map(_thread, batch.renderings))),
}


# Header sections that are read for a whole batch, because all of them are in memory together; more of them are read
# message by message, like bodies.
MAX_HEADER_COLUMNS = 4


class PlanOptions(NamedTuple):
    """What a plan depends on besides its attributes: whether strings may be UTF-8, and which UIDs are \\Recent."""

    utf8: bool
    recent_uids: SequenceSet = EMPTY


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled list of attributes.

    `form` is the template of a response, up to its `bodies`; `columns` fill it in, after the message number.
    """

    form: bytes
    columns: tuple[Column, ...]
    bodies: tuple[Body | BinarySize, ...]
    needs_renderings: bool
    needs_headers: bool
    needs_index: bool
    retrieves_content: bool
    """Whether its messages count as retrieved, because more than a header is sent."""

    @property
    def in_memory(self) -> bool:
        """Whether the store is not queried."""
        return not (self.needs_renderings or self.needs_headers or self.bodies)

    def lines(self, batch: Batch) -> Iterator[bytes]:
        """One response per message of a batch; only its beginning, if there are bodies."""
        return map(self.form.__mod__, zip(batch.numbers, *[column(batch) for column in self.columns], strict=True))


@lru_cache(256)
def make_plan(attributes: tuple[Attribute, ...], options: PlanOptions) -> Plan:
    """Compile a list of attributes, each once. Cached, because programs send the same few lists all the time."""
    distinct = dict.fromkeys(attributes)
    header_count = sum(isinstance(item, Body) and not item.binary and is_top_header(item.section) for item in distinct)
    fields: list[tuple[bytes, Column]] = []
    bodies: list[Body | BinarySize] = []
    needs_renderings = needs_headers = False
    for attribute in distinct:
        match attribute:
            case Item(name):
                needs_renderings = needs_renderings or name in _RENDERING_COLUMNS or name == "PREVIEW"
                fields.append(_item_field(name, options))
            case Body(section, binary=False) if is_top_header(section) and header_count <= MAX_HEADER_COLUMNS:
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
        retrieves_content=any(
            isinstance(body, Body) and (body.binary or includes_body(body.section)) for body in bodies
        ),
    )


def label_of(body: Body) -> bytes:
    """The name of a section in the response, with the origin of a partial."""
    return body.label if body.partial is None else b"%b<%d>" % (body.label, body.partial[0])


def _item_field(name: str, options: PlanOptions) -> tuple[bytes, Column]:
    match name:
        case "FLAGS":
            return b"FLAGS %b", partial(_flag_lists, options.recent_uids)
        case "PREVIEW":
            return b"PREVIEW %b", partial(_previews, options.utf8)
        case _:
            return _ENTRY_COLUMNS.get(name) or _RENDERING_COLUMNS[name]


def _header_field(body: Body) -> tuple[bytes, Column]:
    return label_of(body).replace(b"%", b"%%") + b" %b", partial(_header_sections, body)


def _flag_lists(recent_uids: SequenceSet, batch: Batch) -> Iterable[bytes]:
    entries = batch.entries
    some = entries and recent_uids.ranges and entries.uid[-1] >= recent_uids.ranges[0][0]
    recent = map(recent_uids.includes, entries.uid) if some else repeat(False)
    return map(responses.flag_list, entries.flags, entries.keyword_sets, recent)


def _previews(utf8: bool, batch: Batch) -> Iterable[bytes]:
    return (responses.string(preview.encode(), utf8=utf8) for preview in map(_preview, batch.renderings))


def _header_sections(body: Body, batch: Batch) -> Iterator[bytes]:
    for header in batch.headers:
        octets = replace_nul(header_section(body.section, header, body.partial))
        yield b"{%d}\r\n%b" % (len(octets), octets)
