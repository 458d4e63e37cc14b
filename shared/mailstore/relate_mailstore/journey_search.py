"""Finds journeys of messages in an event log: of all mail for operators, of the own mail for an account.

Messages are found by their heads, then all their events are read: two queries, and a third if a filter asks for a
recipient that a head need not have.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from relate_mailstore.event_rules import head_names
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.journey_views import visible_to
from relate_mailstore.journeys import Journey, journeys_of
from relate_mailstore.ports import EventLog

MAX_EVENTS = 20_000  # of all journeys of a page: a hundred messages with a hundred recipients each
EXAMINED_MESSAGES = 500  # of an account's for a page, where a filter has to look at their events
SAME_TIME_EVENTS = 10  # heads that may have the time of a page's last one, of other processes' commits
SKEW_SECONDS = 3600.0  # by which another machine's clock may be behind, of the events after a head


@dataclass(frozen=True, slots=True)
class JourneySearch:
    """Which journeys to find; None matches any. Addresses match in any case.

    Times are in seconds since the epoch, of the events that begin a message: from `since` on, earlier than `before`.
    """

    header_message_id: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: float = 0.0
    before: float | None = None
    limit: int = 20


class JourneyPage(NamedTuple):
    """Journeys, the newest first, and the `before` of the next page; None on the last one."""

    journeys: Sequence[Journey]
    next_before: float | None


class _Heads(NamedTuple):
    events: Sequence[Event]
    next_before: float | None


async def find_journey(log: EventLog, message_id: MessageId, account_id: AccountId | None = None) -> Journey | None:
    """The journey of one message, with an account only what that may see; None if there is nothing to see.

    Raises StoreUnavailable.
    """
    journeys = journeys_of(await log.find(EventQuery(message_id=message_id, limit=MAX_EVENTS)))
    return next(iter(journeys if account_id is None else _visible(journeys, account_id)), None)


async def find_journeys(log: EventLog, search: JourneySearch) -> JourneyPage:
    """Journeys of all mail, refusals included. Raises StoreUnavailable."""
    by_message_id = search.header_message_id is not None
    recipient = None if by_message_id else search.recipient
    query = EventQuery(
        header_message_id=search.header_message_id, recipient=recipient, sender=search.sender, heads=True
    )
    heads = await _find_heads(log, query, search, search.limit)
    journeys = _without_listed(await _read(log, heads.events), query, heads.events, search.before)
    if by_message_id and search.recipient is not None:
        journeys = await _with_recipient(log, journeys, search.recipient)
    return JourneyPage(journeys[::-1], heads.next_before)


async def find_own_journeys(log: EventLog, account_id: AccountId, search: JourneySearch) -> JourneyPage:
    """Journeys of the mail that an account has sent, got or appended, as far as it may see them.

    A page may be empty although there is a next one, because each examines a number of messages. Raises
    StoreUnavailable.
    """
    if search.header_message_id is not None:
        query = EventQuery(header_message_id=search.header_message_id, heads=True)
    else:
        query = EventQuery(account_id=account_id, heads=True)
    is_filtered = (search.sender, search.recipient) != (None, None)
    heads = await _find_heads(log, query, search, EXAMINED_MESSAGES if is_filtered else search.limit)
    found = _without_listed(await _read(log, heads.events), query, heads.events, search.before)
    journeys = _visible(found, account_id)
    if search.sender is not None:
        journeys = await _with_sender(log, journeys, search.sender)
    if search.recipient is not None:
        journeys = await _with_recipient(log, journeys, search.recipient)
    return JourneyPage(journeys[::-1], heads.next_before)


async def find_asked(log: EventLog, question: str, limit: int) -> Sequence[Journey]:
    """The newest journeys of all mail that a question names: a message's id, a Message-ID, or an address.

    Raises StoreUnavailable.
    """
    bare = question.strip().removeprefix("<").removesuffix(">")
    message_id = _parse_id(bare)
    if message_id is not None:
        journey = await find_journey(log, message_id)
        return [] if journey is None else [journey]
    by_message_id = await find_journeys(log, JourneySearch(header_message_id=bare, limit=limit))
    if by_message_id.journeys:
        return by_message_id.journeys
    searches = JourneySearch(recipient=bare, limit=limit), JourneySearch(sender=bare, limit=limit)
    return _newest([one for search in searches for one in (await find_journeys(log, search)).journeys], limit)


def _newest(journeys: Iterable[Journey], limit: int) -> list[Journey]:
    """Without those that were found twice, because an address has written to itself."""
    distinct = {(one.message_id, one.events[0].time): one for one in journeys}
    return sorted(distinct.values(), key=lambda one: one.events[0].time, reverse=True)[:limit]


def _parse_id(text: str) -> MessageId | None:
    try:
        return MessageId(UUID(text))
    except ValueError:
        return None


async def _find_heads(log: EventLog, query: EventQuery, search: JourneySearch, limit: int) -> _Heads:
    """The newest heads, all of those that have the time of the last one included, so that no page loses any."""
    most = limit + SAME_TIME_EVENTS
    found = await log.find(replace(query, since=search.since, before=search.before, limit=most))
    if len(found) <= limit:
        return _Heads(found, None)
    oldest = found[-limit].time
    page = [event for event in found if event.time >= oldest]
    return _Heads(page, oldest if len(page) < len(found) or len(found) == most else None)


async def _read(log: EventLog, heads: Sequence[Event]) -> list[Journey]:
    """The journeys of heads, the oldest first. A head without a message is a refusal, and all of its journey."""
    refusals = [head for head in heads if head.message_id is None]
    message_ids = {head.message_id for head in heads if head.message_id is not None}
    if not message_ids:
        return journeys_of(refusals)
    since = min(head.time for head in heads) - SKEW_SECONDS
    return journeys_of([*refusals, *await log.find(EventQuery(message_ids=message_ids, since=since, limit=MAX_EVENTS))])


def _visible(journeys: Sequence[Journey], account_id: AccountId) -> list[Journey]:
    seen = (visible_to(account_id, journey.events) for journey in journeys)
    return [one for events in seen for one in journeys_of(events)]


def _without_listed(
    journeys: Sequence[Journey], query: EventQuery, heads: Sequence[Event], before: float | None
) -> Sequence[Journey]:
    """The journeys that no earlier page has by another of their heads, such as that of the sender's own copy."""
    if before is None or not heads:
        return journeys
    names, like = head_names(query), heads[0]  # whose addresses are as the log stores those of the query

    def is_listed(event: Event) -> bool:
        return (
            event.name in names
            and event.time >= before
            and query.header_message_id in {None, event.header_message_id}
            and query.account_id in {None, event.account_id}
            and (query.recipient is None or event.recipient == like.recipient)
            and (query.sender is None or event.sender == like.sender)
        )

    return [one for one in journeys if not any(map(is_listed, one.events))]


async def _with_recipient(log: EventLog, journeys: Sequence[Journey], address: str) -> list[Journey]:
    """The journeys that show this recipient. What they do not show decides nothing, because that would reveal it."""
    found = await log.find(EventQuery(message_ids=_ids(journeys), recipient=address, limit=MAX_EVENTS))
    stored = {event.recipient for event in found}
    return [one for one in journeys if any(event.recipient in stored for event in one.events)]


async def _with_sender(log: EventLog, journeys: Sequence[Journey], address: str) -> list[Journey]:
    found = await log.find(EventQuery(message_ids=_ids(journeys), sender=address, limit=MAX_EVENTS))
    stored = {event.sender for event in found}
    return [one for one in journeys if any(event.sender in stored for event in one.events)]


def _ids(journeys: Sequence[Journey]) -> Collection[MessageId]:
    return [one.message_id for one in journeys if one.message_id is not None]
