"""The order of SORT (RFC 5256 §2.2, §3), with texts compared by i;unicode-casemap (RFC 5051). Pure.

Messages that compare equal keep the order of their numbers.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from relate_imap.search.subject import base_subject
from relate_mailstore.folding import collation_key
from relate_mailstore.types import Entry, Summary

_FIRST_ADDRESS = re.compile(r"<([^<>]*)>(?:, |\Z)")


def sent_date(entry: Entry, summary: Summary) -> int:
    """The Date field in UTC, or INTERNALDATE if there is none (RFC 5256 §2.2)."""
    return entry.internal_date if summary.date is None else summary.date


def display_of(addresses: str) -> str:
    """The display name of a field's first address, else the address (RFC 5957 §3)."""
    first = _FIRST_ADDRESS.search(addresses)
    return (addresses[: first.start()].strip() or first[1]) if first else ""


def mailbox_of(addresses: str) -> str:
    """The addr-mailbox of a field's first address: the part before the @. Empty for none."""
    first = _FIRST_ADDRESS.search(addresses)
    return first[1].rpartition("@")[0] or first[1] if first else ""


_CRITERIA: Mapping[str, Callable[[Entry, Summary], Any]] = {
    "ARRIVAL": lambda entry, _: entry.internal_date,
    "CC": lambda _, summary: collation_key(mailbox_of(summary.cc)),
    "DATE": sent_date,
    "DISPLAYFROM": lambda _, summary: collation_key(display_of(summary.sender)),
    "DISPLAYTO": lambda _, summary: collation_key(display_of(summary.to)),
    "FROM": lambda _, summary: collation_key(mailbox_of(summary.sender)),
    "SIZE": lambda entry, _: entry.size,
    "SUBJECT": lambda _, summary: collation_key(base_subject(summary.subject).text),
    "TO": lambda _, summary: collation_key(mailbox_of(summary.to)),
}

_OF_ENTRIES = frozenset({"ARRIVAL", "SIZE"})


def needs_summaries(criteria: Iterable[tuple[str, bool]]) -> bool:
    """Whether a criterion needs more than entries."""
    return not all(name in _OF_ENTRIES for name, _ in criteria)


def order(
    positions: Iterable[int],
    criteria: Sequence[tuple[str, bool]],
    entries: Sequence[Entry],
    summaries: Sequence[Summary],
) -> list[int]:
    """Sort positions by the first criterion, then the second, and so on; each with whether it is reversed."""
    ordered = sorted(positions)
    distinct: dict[str, bool] = {}
    for name, reverse in criteria:  # a repeated criterion has no effect
        distinct.setdefault(name, reverse)
    for name, reverse in reversed(distinct.items()):
        value = _CRITERIA[name]
        ordered.sort(key=lambda position: value(entries[position], summaries[position]), reverse=reverse)
    return ordered
