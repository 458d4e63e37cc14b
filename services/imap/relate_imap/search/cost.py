"""The cost of search keys: what must be loaded to match them. Cheap keys are matched first. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import groupby
from operator import attrgetter

from relate_imap.search import keys
from relate_imap.search.keys import DateOf, HasHeader, HasText, SearchKey
from relate_mailstore.folding import fold
from relate_mailstore.types import Summary

Lookup = HasText | HasHeader
"""A key that the store evaluates."""


class Cost(IntEnum):
    """What must be loaded of each message, cheapest first."""

    ENTRY = 0
    SUMMARY = 1
    LOOKUP = 2


SUMMARY_FIELDS: Mapping[str, Callable[[Summary], str]] = {
    "SUBJECT": attrgetter("subject"),
    "FROM": attrgetter("sender"),
    "TO": attrgetter("to"),
    "CC": attrgetter("cc"),
    "BCC": attrgetter("bcc"),
    "MESSAGE-ID": lambda summary: fold(f"<{summary.header_message_id}>"),
}
"""Header fields that summaries contain."""


def cost_of(key: SearchKey) -> Cost:
    """The cost of the most expensive part of a key."""
    match key:
        case keys.HasAddress() | keys.HasSubject() | keys.HasThreadId() | keys.Dated(DateOf.SENT):
            return Cost.SUMMARY
        case HasHeader(name, text):
            return Cost.SUMMARY if text and name in SUMMARY_FIELDS else Cost.LOOKUP
        case HasText():
            return Cost.LOOKUP
        case _:
            return max(map(cost_of, _inside(key)), default=Cost.ENTRY)


MESSAGES_PER_STEP = 8
"""Messages that are filtered by flag, number or UID in the time of one step of Python: that is done in C."""


def steps_of(leaf: SearchKey, messages: int) -> int:
    """The steps to match a key that is not And, Or or Not with this number of messages."""
    is_fast = isinstance(leaf, keys.HasFlag | keys.InSequenceSet | keys.All | keys.Recent)
    return messages // MESSAGES_PER_STEP if is_fast else messages


def by_cost(key: SearchKey) -> Iterator[tuple[Cost, Sequence[SearchKey]]]:
    """The conjuncts of a key, grouped by cost, the cheapest first."""
    for cost, group in groupby(sorted(_conjuncts(key), key=cost_of), key=cost_of):
        yield cost, list(group)


def leaves(conjunction: Iterable[SearchKey]) -> Iterator[SearchKey]:
    """The keys in these that are not And, Or or Not."""
    for key in conjunction:
        if isinstance(key, keys.And | keys.Or | keys.Not):
            yield from leaves(_inside(key))
        else:
            yield key


def lookups(conjunction: Iterable[SearchKey]) -> Iterator[Lookup]:
    """The keys in these that the store evaluates, without duplicates."""
    for key in dict.fromkeys(leaves(conjunction)):
        if isinstance(key, HasText | HasHeader) and cost_of(key) is Cost.LOOKUP:
            yield key


def uses_modseq(key: SearchKey) -> bool:
    """Whether a key contains MODSEQ, so that the response must include it (RFC 7162 §3.1.5)."""
    return any(isinstance(leaf, keys.ModifiedSince) for leaf in leaves([key]))


def _inside(key: SearchKey) -> Sequence[SearchKey]:
    match key:
        case keys.And(inside):
            return inside
        case keys.Or(one, other):
            return (one, other)
        case keys.Not(inside):
            return (inside,)
        case _:
            return ()


def _conjuncts(key: SearchKey) -> Iterator[SearchKey]:
    if isinstance(key, keys.And):
        for inside in key.keys:
            yield from _conjuncts(inside)
    else:
        yield key
