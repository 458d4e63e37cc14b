"""The order of SORT (RFC 5256 §2.2, §3), with texts compared by i;unicode-casemap (RFC 5051). Pure.

Messages that compare equal keep the order of their numbers.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from relate_imap.search.subject import base_subject
from relate_mailstore.entry_columns import NumberField
from relate_mailstore.folding import collation_key
from relate_mailstore.types import EntryList, Summary

_FIRST_ADDRESS = re.compile(r"<([^<>]*)>(?:, |\Z)")


def sent_date(internal_date: int, summary: Summary) -> int:
    """The Date field in UTC, or INTERNALDATE if there is none (RFC 5256 §2.2)."""
    return internal_date if summary.date is None else summary.date


def display_of(addresses: str) -> str:
    """The display name of a field's first address, else the address (RFC 5957 §3)."""
    first = _FIRST_ADDRESS.search(addresses)
    return (addresses[: first.start()].strip() or first[1]) if first else ""


def mailbox_of(addresses: str) -> str:
    """The addr-mailbox of a field's first address: the part before the @. Empty for none."""
    first = _FIRST_ADDRESS.search(addresses)
    return first[1].rpartition("@")[0] or first[1] if first else ""


_OF_ENTRIES: Mapping[str, NumberField] = {"ARRIVAL": "internal_date", "SIZE": "size"}
_OF_SUMMARIES: Mapping[str, Callable[[Summary], str]] = {
    "CC": lambda summary: collation_key(mailbox_of(summary.cc)),
    "DISPLAYFROM": lambda summary: collation_key(display_of(summary.sender)),
    "DISPLAYTO": lambda summary: collation_key(display_of(summary.to)),
    "FROM": lambda summary: collation_key(mailbox_of(summary.sender)),
    "SUBJECT": lambda summary: collation_key(base_subject(summary.subject).text),
    "TO": lambda summary: collation_key(mailbox_of(summary.to)),
}


def needs_summaries(criteria: Iterable[tuple[str, bool]]) -> bool:
    """Whether a criterion needs more than entries."""
    return not all(name in _OF_ENTRIES for name, _ in criteria)


def order(
    positions: Iterable[int],
    criteria: Sequence[tuple[str, bool]],
    entries: EntryList,
    summaries: Sequence[Summary],
) -> list[int]:
    """Sort positions by the first criterion, then the second, and so on; each with whether it is reversed."""
    ordered = sorted(positions)
    distinct: dict[str, bool] = {}
    for name, reverse in criteria:  # a repeated criterion has no effect
        distinct.setdefault(name, reverse)
    for name, reverse in reversed(distinct.items()):
        ordered.sort(key=_value_of(name, entries, summaries), reverse=reverse)
    return ordered


def _value_of(name: str, entries: EntryList, summaries: Sequence[Summary]) -> Callable[[int], Any]:
    """A function from a position to the value of a criterion."""
    if name in _OF_ENTRIES:
        return entries.column(_OF_ENTRIES[name]).__getitem__
    if name == "DATE":
        dates = entries.column("internal_date")
        return lambda position: sent_date(dates[position], summaries[position])
    value = _OF_SUMMARIES[name]
    return lambda position: value(summaries[position])
