"""Finds what `relate where` is asked: a message's id, a Message-ID, or an address."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from relate.admin import open_backend
from relate.errors import CommandError
from relate.settings import Settings
from relate_mailstore.identifiers import AccountId, MessageId
from relate_mailstore.journey_search import JourneySearch, find_journey, find_journeys
from relate_mailstore.journey_views import Names
from relate_mailstore.journeys import Journey
from relate_mailstore.ports import EventLog


class Found(NamedTuple):
    """Journeys, the newest first, and the addresses of the accounts in them."""

    journeys: Sequence[Journey]
    names: Names


async def find(settings: Settings, question: str, limit: int) -> Found:
    """The newest journeys that a question names. Raises CommandError if there is none."""
    async with open_backend(settings) as backend:
        journeys = await _find(backend.mail.events, question.strip(), limit)
        if not journeys:
            days = settings.shared.events.retention_days
            raise CommandError(
                f"no event of the last {days} days (Events__RetentionDays) has {question}:"
                " give a message's id, a Message-ID or an address"
            )
        return Found(journeys, {AccountId(user.id): user.address for user in await backend.accounts.users()})


async def _find(events: EventLog, question: str, limit: int) -> Sequence[Journey]:
    message_id = _parse_id(question)
    if message_id is not None:
        journey = await find_journey(events, message_id)
        return [] if journey is None else [journey]
    bare = question.removeprefix("<").removesuffix(">")
    by_message_id = await find_journeys(events, JourneySearch(header_message_id=bare, limit=limit))
    if by_message_id.journeys:
        return by_message_id.journeys
    searches = JourneySearch(recipient=bare, limit=limit), JourneySearch(sender=bare, limit=limit)
    return _newest([one for search in searches for one in (await find_journeys(events, search)).journeys], limit)


def _newest(journeys: Iterable[Journey], limit: int) -> list[Journey]:
    """Without those that were found twice, because an address has written to itself."""
    distinct = {(one.message_id, one.events[0].time): one for one in journeys}
    return sorted(distinct.values(), key=lambda one: one.events[0].time, reverse=True)[:limit]


def _parse_id(text: str) -> MessageId | None:
    try:
        return MessageId(UUID(text))
    except ValueError:
        return None
