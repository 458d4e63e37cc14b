"""Finds what `relate where` is asked: a message's id, a Message-ID, or an address."""

from collections.abc import Sequence
from typing import NamedTuple

from relate.admin import open_backend
from relate.errors import CommandError
from relate.settings import Settings
from relate_mailstore.identifiers import AccountId
from relate_mailstore.journey_search import find_asked
from relate_mailstore.journey_views import Names
from relate_mailstore.journeys import Journey


class Found(NamedTuple):
    """Journeys, the newest first, and the addresses of the accounts in them."""

    journeys: Sequence[Journey]
    names: Names


async def find(settings: Settings, question: str, limit: int) -> Found:
    """The newest journeys that a question names. Raises CommandError if there is none."""
    async with open_backend(settings) as backend:
        journeys = await find_asked(backend.mail.events, question, limit)
        if not journeys:
            days = settings.shared.events.retention_days
            raise CommandError(
                f"no event of the last {days} days (Events__RetentionDays) has {question}:"
                " give a message's id, a Message-ID or an address"
            )
        return Found(journeys, {AccountId(user.id): user.address for user in await backend.accounts.users()})
