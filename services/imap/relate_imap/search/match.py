"""Which messages a key of SEARCH matches (RFC 9051 §6.4.4). Pure.

A key takes places of messages, ascending, and leaves those that match. So the keys of a conjunction look only at what
the ones before have left, and each is a loop over one kind of thing. What a key has to know is its tier: an entry is at
hand, a summary is kept by the process, and for the rest the store was asked beforehand.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import compress
from operator import attrgetter
from typing import Any

from relate_imap.search import keys
from relate_imap.search.cost import SUMMARISED, Lookup, Tier, tier_of
from relate_imap.search.keys import DateOf, HasHeader, SearchKey
from relate_imap.selected.sequence_set import EMPTY, SequenceSet, resolve
from relate_mailstore.folding import fold
from relate_mailstore.types import Entry, Flag, Summary

DAY = 86_400  # seconds

Places = Sequence[int]
"""Places in the list of messages, ascending, from 0."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the messages. `summaries` are in their order; `found` are the UIDs that a key matches."""

    entries: Sequence[Entry]
    flags: bytes
    """Of the entries, an octet each: whole mailboxes are looked through in microseconds."""
    now: float = 0.0
    recent: SequenceSet = EMPTY
    saved: Collection[int] = ()
    summaries: Sequence[Summary] = ()
    found: Mapping[Lookup, Collection[int]] = field(default_factory=dict)


Matcher = Callable[[Any, Known, Places], Places]

_uid = attrgetter("uid")


def match(key: SearchKey, known: Known, places: Places) -> Places:
    """Those of the places where the key matches."""
    return _MATCHERS[type(key)](key, known, places)


def match_all(conjunction: Iterable[SearchKey], known: Known, places: Places) -> Places:
    """Those where all of them match."""
    return reduce(lambda left, key: match(key, known, left) if left else left, conjunction, places)


# --- composed


def _and(key: keys.And, known: Known, places: Places) -> Places:
    return match_all(sorted(key.keys, key=tier_of), known, places)


def _or(key: keys.Or, known: Known, places: Places) -> Places:
    one = match(key.one, known, places)
    other = match(key.other, known, _without(places, one))
    return sorted([*one, *other])


def _not(key: keys.Not, known: Known, places: Places) -> Places:
    if isinstance(key.key, keys.HasFlag):  # UNSEEN and UNDELETED are most of what is ever asked
        return _where(known.flags.translate(_lacks(key.key.flag)), places)
    return _without(places, match(key.key, known, places))


def _without(places: Places, others: Places) -> Places:
    apart = frozenset(others)
    return [place for place in places if place not in apart] if apart else places


# --- of entries


def _everything(_: object, known: Known, places: Places) -> Places:
    return places


def _flag(key: keys.HasFlag, known: Known, places: Places) -> Places:
    return _where(known.flags.translate(_has(key.flag)), places)


def _where(chosen: bytes, places: Places) -> Places:
    """Those of the places where the octet is not 0: without a step of Python each, where these are all places."""
    if len(places) == len(chosen):
        return list(compress(places, chosen))
    return [place for place in places if chosen[place]]


@cache
def _has(flag: Flag) -> bytes:
    """What `bytes.translate` makes of flags: 1 where this one is among them."""
    return bytes(bool(flags & flag) for flags in range(256))


@cache
def _lacks(flag: Flag) -> bytes:
    return bytes(not flags & flag for flags in range(256))


def _keyword(key: keys.HasKeyword, known: Known, places: Places) -> Places:
    keyword, has = key.keyword.lower(), dict[tuple[str, ...], bool]()
    entries = known.entries
    for keywords in {entries[place].keywords for place in places}:
        has[keywords] = keyword in map(str.lower, keywords)
    return [place for place in places if has[entries[place].keywords]]


def _recent(_: object, known: Known, places: Places) -> Places:
    return _numbered(keys.Numbered(known.recent, uid=True), known, places)


def _numbered(key: keys.Numbered, known: Known, places: Places) -> Places:
    entries, numbers = known.entries, key.numbers
    if numbers.saved:
        saved = frozenset(known.saved)
        return [place for place in places if entries[place].uid in saved]
    picked: list[int] = []
    for first, stop in _uid_ranges(numbers, entries) if key.uid else _number_ranges(numbers, entries):
        picked.extend(places[bisect_left(places, first) : bisect_left(places, stop)])
    return picked


def _number_ranges(numbers: SequenceSet, entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    for first, last in resolve(numbers, len(entries)):
        yield first - 1, last


def _uid_ranges(numbers: SequenceSet, entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    for first, last in resolve(numbers, entries[-1].uid if entries else 0):
        yield bisect_left(entries, first, key=_uid), bisect_left(entries, last + 1, key=_uid)


def _larger(key: keys.Larger, known: Known, places: Places) -> Places:
    return [place for place in places if known.entries[place].size > key.octets]


def _smaller(key: keys.Smaller, known: Known, places: Places) -> Places:
    return [place for place in places if known.entries[place].size < key.octets]


def _within(key: keys.Within, known: Known, places: Places) -> Places:
    limit, entries = known.now - key.seconds, known.entries
    if key.older:
        return [place for place in places if entries[place].internal_date <= limit]
    return [place for place in places if entries[place].internal_date >= limit]


def _modified_since(key: keys.ModifiedSince, known: Known, places: Places) -> Places:
    return [place for place in places if known.entries[place].modseq >= key.modseq]


def _email_id(key: keys.HasEmailId, known: Known, places: Places) -> Places:
    return [place for place in places if f"M{known.entries[place].message_id.hex}" == key.id]


def _dated(key: keys.Dated, known: Known, places: Places) -> Places:
    date = _DATES[key.of]
    first = float("-inf") if key.first is None else key.first * DAY
    end = float("inf") if key.end is None else key.end * DAY
    return [place for place in places if (when := date(known, place)) is not None and first <= when < end]


def _date_sent(known: Known, place: int) -> int | None:
    """As it was written: in the zone of the sender."""
    summary = known.summaries[place]
    return None if summary.date is None else summary.date + 60 * summary.zone


_DATES: Mapping[DateOf, Callable[[Known, int], int | None]] = {
    DateOf.INTERNAL: lambda known, place: known.entries[place].internal_date,
    DateOf.SAVED: lambda known, place: known.entries[place].saved,
    DateOf.SENT: _date_sent,
}


# --- of summaries


def _summarised(name: str, text: str, known: Known, places: Places) -> Places:
    """An empty text is in every field that is there."""
    read, folded, summaries = SUMMARISED[name], fold(text), known.summaries
    return [place for place in places if folded in (value := read(summaries[place])) and value]


def _address(key: keys.HasAddress, known: Known, places: Places) -> Places:
    return _summarised(key.field.value, key.text, known, places)


def _subject(key: keys.HasSubject, known: Known, places: Places) -> Places:
    return _summarised("SUBJECT", key.text, known, places)


def _thread_id(key: keys.HasThreadId, known: Known, places: Places) -> Places:
    return [place for place in places if f"T{known.summaries[place].thread}" == key.id]


# --- of what the store was asked


def _lookup(key: Lookup, known: Known, places: Places) -> Places:
    found = known.found[key]
    return [place for place in places if known.entries[place].uid in found]


def _header(key: HasHeader, known: Known, places: Places) -> Places:
    if tier_of(key) is Tier.LOOKUP:
        return _lookup(key, known, places)
    return _summarised(key.name, key.text, known, places)


_MATCHERS: Mapping[type, Matcher] = {
    keys.All: _everything,
    keys.HasFlag: _flag,
    keys.HasKeyword: _keyword,
    keys.Recent: _recent,
    keys.Numbered: _numbered,
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
