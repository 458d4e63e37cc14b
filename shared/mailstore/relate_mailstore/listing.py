"""The rules of message lists that all stores share. Pure."""

from collections.abc import Collection, Sequence
from functools import reduce
from itertools import chain
from operator import or_
from typing import NamedTuple

from relate_mailstore.criteria import (
    Condition,
    Criterion,
    HasAttachment,
    HasFlag,
    HasKeyword,
    HasText,
    InMailbox,
    IsSince,
)
from relate_mailstore.errors import MessageChanged
from relate_mailstore.keywords import one_spelling
from relate_mailstore.mailbox_names import name_order
from relate_mailstore.types import Flag, MessageQuery, MessageState

MAX_SENDERS = 1_000
"""Addresses that `senders` lists: a user has a few, a mailbox with a thousand is no sent mail."""


class PlacedEntry(NamedTuple):
    """An entry of a message: the name of its mailbox, its flags and keywords there."""

    mailbox: str
    flags: int
    keywords: Collection[str]


def merge_entries(entries: Sequence[PlacedEntry]) -> MessageState:
    """The state of the message that has these entries: it is \\Seen if each entry is, because a copy of one's own in
    \\Sent is always read.
    """
    flags = reduce(or_, (entry.flags for entry in entries), 0)
    if not all(entry.flags & Flag.SEEN for entry in entries):
        flags &= ~Flag.SEEN
    return MessageState(
        flags,
        one_spelling(sorted(chain.from_iterable(entry.keywords for entry in entries))),
        tuple(sorted({entry.mailbox for entry in entries}, key=name_order)),
    )


def criteria_of(query: MessageQuery) -> Sequence[Criterion]:
    """All filters of a query as criteria, but for its thread. A name of a mailbox is taken as it is."""
    filters: list[tuple[Condition, bool]] = []
    if query.mailbox is not None:
        filters.append((InMailbox(query.mailbox), True))
    if query.text:
        filters.append((HasText(query.text), True))
    if query.since is not None:
        filters.append((IsSince(query.since), True))
    if query.before is not None:
        filters.append((IsSince(query.before), False))
    if query.seen is not None:
        filters.append((HasFlag(Flag.SEEN), query.seen))
    if query.has_attachments is not None:
        filters.append((HasAttachment(), query.has_attachments))
    if query.keyword is not None:
        filters.append((HasKeyword(query.keyword), True))
    return [*(Criterion(condition, negated=not wanted) for condition, wanted in filters), *query.criteria]


def expect_state(state: MessageState, expected: MessageState | None) -> None:
    """Raise MessageChanged if a message's state is not the expected one; None expects any."""
    if expected is not None and state != expected:
        raise MessageChanged("the state is another")
