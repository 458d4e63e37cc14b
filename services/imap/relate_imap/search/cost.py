"""What has to be known of messages before a key of SEARCH can be matched, so that the cheap keys go first. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import groupby
from operator import attrgetter

from relate_imap.search import keys
from relate_imap.search.keys import DateOf, HasHeader, HasText, SearchKey
from relate_mailstore.folding import fold
from relate_mailstore.types import Summary

Lookup = HasText | HasHeader
"""A key that the store answers."""


class Tier(IntEnum):
    """What has to be known of a message, cheapest first."""

    ENTRY = 0
    SUMMARY = 1
    LOOKUP = 2


SUMMARISED: Mapping[str, Callable[[Summary], str]] = {
    "SUBJECT": attrgetter("subject"),
    "FROM": attrgetter("sender"),
    "TO": attrgetter("to"),
    "CC": attrgetter("cc"),
    "BCC": attrgetter("bcc"),
    "MESSAGE-ID": lambda summary: fold(f"<{summary.header_message_id}>"),
}
"""Header fields that are in summaries."""


def tier_of(key: SearchKey) -> Tier:
    """What has to be known before a key can be matched."""
    match key:
        case keys.HasAddress() | keys.HasSubject() | keys.HasThreadId() | keys.Dated(DateOf.SENT):
            return Tier.SUMMARY
        case HasHeader(name, text):
            return Tier.SUMMARY if text and name in SUMMARISED else Tier.LOOKUP
        case HasText():
            return Tier.LOOKUP
        case _:
            return max(map(tier_of, _inside(key)), default=Tier.ENTRY)


def in_tiers(key: SearchKey) -> Iterator[tuple[Tier, Sequence[SearchKey]]]:
    """A key as a conjunction, the cheapest first: keys that need to know the same stand together."""
    for tier, group in groupby(sorted(_conjuncts(key), key=tier_of), key=tier_of):
        yield tier, list(group)


def leaves(conjunction: Iterable[SearchKey]) -> Iterator[SearchKey]:
    """The keys in these that are not made of others."""
    for key in conjunction:
        if isinstance(key, keys.And | keys.Or | keys.Not):
            yield from leaves(_inside(key))
        else:
            yield key


def lookups(conjunction: Iterable[SearchKey]) -> Iterator[Lookup]:
    """The keys in these that the store has to be asked about, each once."""
    for key in dict.fromkeys(leaves(conjunction)):
        if isinstance(key, HasText | HasHeader) and tier_of(key) is Tier.LOOKUP:
            yield key


def asks_modseq(key: SearchKey) -> bool:
    """Whether a key is about modification sequences: then they are told (RFC 7162 §3.1.5)."""
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
