"""Matches search keys against messages (RFC 9051 §6.4.4). Pure.

A key filters ascending positions. So each key of a conjunction sees only the positions that the ones before have left,
and each is a loop over one kind of data: entries are in memory, summaries are cached by the process, and lookups were
evaluated by the store beforehand (see `cost`).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import compress
from typing import Any

from relate_imap.search import keys
from relate_imap.search.cost import SUMMARY_FIELDS, Cost, Lookup, cost_of
from relate_imap.search.keys import DateOf, HasHeader, SearchKey
from relate_imap.selected.sequence_set import EMPTY, SequenceSet, resolve
from relate_mailstore.folding import fold
from relate_mailstore.types import EntryList, Summary, Uid

DAY_SECONDS = 86_400

_EMAIL_ID = re.compile("M[0-9a-f]{32}")
_OPPOSITE = bytes([1, 0, *[0] * 254])
"""A `bytes.translate` table: 0 becomes 1, 1 becomes 0."""

Positions = Sequence[int]
"""Positions in the list of messages, ascending, from 0."""


@dataclass(frozen=True, slots=True)
class SearchData:
    """What is loaded of the messages: `summaries` in their order; in `found` the matching UIDs of each lookup."""

    entries: EntryList
    now: float = 0.0
    recent_uids: SequenceSet = EMPTY
    saved_uids: Collection[Uid] = ()
    summaries: Sequence[Summary] = ()
    found: Mapping[Lookup, Collection[Uid]] = field(default_factory=dict)


Matcher = Callable[[Any, SearchData, Positions], Positions]


def match(key: SearchKey, data: SearchData, positions: Positions) -> Positions:
    """The positions where the key matches."""
    return _MATCHERS[type(key)](key, data, positions)


def match_all(conjunction: Iterable[SearchKey], data: SearchData, positions: Positions) -> Positions:
    """The positions where all keys match."""
    return reduce(lambda left, key: match(key, data, left) if left else left, conjunction, positions)


# --- composite keys


def _and(key: keys.And, data: SearchData, positions: Positions) -> Positions:
    return match_all(sorted(key.keys, key=cost_of), data, positions)


def _or(key: keys.Or, data: SearchData, positions: Positions) -> Positions:
    one = match(key.one, data, positions)
    other = match(key.other, data, _without(positions, one))
    return sorted([*one, *other])


def _not(key: keys.Not, data: SearchData, positions: Positions) -> Positions:
    if isinstance(key.key, keys.HasFlag):  # UNSEEN and UNDELETED are the most frequent keys
        return _where(data.entries.with_flag(key.key.flag).translate(_OPPOSITE), positions)
    return _without(positions, match(key.key, data, positions))


def _without(positions: Positions, others: Positions) -> Positions:
    excluded = frozenset(others)
    return [position for position in positions if position not in excluded] if excluded else positions


# --- keys on entries


def _everything(_: object, data: SearchData, positions: Positions) -> Positions:
    return positions


def _flag(key: keys.HasFlag, data: SearchData, positions: Positions) -> Positions:
    return _where(data.entries.with_flag(key.flag), positions)


def _where(mask: bytes, positions: Positions) -> Positions:
    """The positions whose octet is not 0; without a Python loop if `positions` are all of them."""
    if len(positions) == len(mask):
        return list(compress(positions, mask)) if 0 in mask else positions
    return [position for position in positions if mask[position]]


def _keyword(key: keys.HasKeyword, data: SearchData, positions: Positions) -> Positions:
    keyword = key.keyword.lower()
    having = {keywords for keywords in data.entries.distinct_keywords if keyword in map(str.lower, keywords)}
    if not having:
        return ()
    keyword_sets = [*data.entries.keyword_sets]
    return [position for position in positions if keyword_sets[position] in having]


def _recent(_: object, data: SearchData, positions: Positions) -> Positions:
    return _numbered(keys.InSequenceSet(data.recent_uids, uid=True), data, positions)


def _numbered(key: keys.InSequenceSet, data: SearchData, positions: Positions) -> Positions:
    entries, numbers = data.entries, key.sequence_set
    if numbers.saved:
        return _with_uids(frozenset(data.saved_uids), data, positions)
    matching: list[int] = []
    for first, stop in _uid_ranges(numbers, entries) if key.uid else _number_ranges(numbers, entries):
        matching.extend(positions[bisect_left(positions, first) : bisect_left(positions, stop)])
    return matching


def _with_uids(chosen: Collection[Uid], data: SearchData, positions: Positions) -> Positions:
    uids = data.entries.column("uid")
    return [position for position in positions if uids[position] in chosen]


def _number_ranges(numbers: SequenceSet, entries: EntryList) -> Iterator[tuple[int, int]]:
    for first, last in resolve(numbers, len(entries)):
        yield first - 1, last


def _uid_ranges(numbers: SequenceSet, entries: EntryList) -> Iterator[tuple[int, int]]:
    for first, last in resolve(numbers, entries[-1].uid if entries else 0):
        yield entries.index_of(first), entries.index_of(last + 1)


def _larger(key: keys.Larger, data: SearchData, positions: Positions) -> Positions:
    sizes = data.entries.column("size")
    return [position for position in positions if sizes[position] > key.octets]


def _smaller(key: keys.Smaller, data: SearchData, positions: Positions) -> Positions:
    sizes = data.entries.column("size")
    return [position for position in positions if sizes[position] < key.octets]


def _within(key: keys.Within, data: SearchData, positions: Positions) -> Positions:
    limit, dates = data.now - key.seconds, data.entries.column("internal_date")
    if key.older:
        return [position for position in positions if dates[position] <= limit]
    return [position for position in positions if dates[position] >= limit]


def _modified_since(key: keys.ModifiedSince, data: SearchData, positions: Positions) -> Positions:
    modseqs = data.entries.column("modseq")
    return [position for position in positions if modseqs[position] >= key.modseq]


def _email_id(key: keys.HasEmailId, data: SearchData, positions: Positions) -> Positions:
    if not _EMAIL_ID.fullmatch(key.id):
        return ()
    chosen = frozenset(data.entries.positions_of(bytes.fromhex(key.id[1:])))
    return [position for position in positions if position in chosen]


def _dated(key: keys.Dated, data: SearchData, positions: Positions) -> Positions:
    first = float("-inf") if key.first is None else key.first * DAY_SECONDS
    end = float("inf") if key.end is None else key.end * DAY_SECONDS
    if key.of is DateOf.SENT:
        return [
            position
            for position in positions
            if (when := _date_sent(data.summaries[position])) is not None and first <= when < end
        ]
    dates = data.entries.column("saved" if key.of is DateOf.SAVED else "internal_date")
    return [position for position in positions if first <= dates[position] < end]


def _date_sent(summary: Summary) -> int | None:
    """In the zone of the sender, as written."""
    return None if summary.date is None else summary.date + 60 * summary.zone


# --- keys on summaries


def _summarised(name: str, text: str, data: SearchData, positions: Positions) -> Positions:
    """An empty text matches every message that has the field."""
    read, folded, summaries = SUMMARY_FIELDS[name], fold(text), data.summaries
    return [position for position in positions if folded in (value := read(summaries[position])) and value]


def _address(key: keys.HasAddress, data: SearchData, positions: Positions) -> Positions:
    return _summarised(key.field.value, key.text, data, positions)


def _subject(key: keys.HasSubject, data: SearchData, positions: Positions) -> Positions:
    return _summarised("SUBJECT", key.text, data, positions)


def _thread_id(key: keys.HasThreadId, data: SearchData, positions: Positions) -> Positions:
    return [position for position in positions if f"T{data.summaries[position].thread}" == key.id]


# --- lookups


def _lookup(key: Lookup, data: SearchData, positions: Positions) -> Positions:
    return _with_uids(data.found[key], data, positions)


def _header(key: HasHeader, data: SearchData, positions: Positions) -> Positions:
    if cost_of(key) is Cost.LOOKUP:
        return _lookup(key, data, positions)
    return _summarised(key.name, key.text, data, positions)


_MATCHERS: Mapping[type, Matcher] = {
    keys.All: _everything,
    keys.HasFlag: _flag,
    keys.HasKeyword: _keyword,
    keys.Recent: _recent,
    keys.InSequenceSet: _numbered,
    keys.Larger: _larger,
    keys.Smaller: _smaller,
    keys.Dated: _dated,
    keys.Within: _within,
    keys.HasAddress: _address,
    keys.HasSubject: _subject,
    keys.HasHeader: _header,
    keys.HasText: _lookup,
    keys.ModifiedSince: _modified_since,
    keys.HasEmailId: _email_id,
    keys.HasThreadId: _thread_id,
    keys.SaveDateSupported: _everything,
    keys.Not: _not,
    keys.Or: _or,
    keys.And: _and,
}
