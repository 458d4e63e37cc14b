"""The journey of one message, for one of the accounts that have sent or got it, and the names in journeys of all."""

from collections.abc import Iterable
from uuid import UUID

from relate_accounts.types import UserId
from relate_api.access.dependencies import Principal, Services
from relate_api.journeys.schemas import MessageJourney
from relate_mailstore.journey_search import find_journey
from relate_mailstore.journey_views import AUTHENTICATED_EVENTS, Names
from relate_mailstore.journeys import Journey
from relate_mailstore.types import AccountId, MessageId


async def read_journey(email_id: UUID, principal: Principal, services: Services) -> MessageJourney:
    """What happened to a message, also after it was deleted. Raises MessageNotFound for one of others."""
    account_id = principal.account_id
    journey = await find_journey(services.events, MessageId(email_id), account_id)
    if journey is not None:
        return MessageJourney.of(journey, {account_id: principal.user.address})
    listed = await services.store.message(account_id, MessageId(email_id))
    index = listed.message.index
    return MessageJourney(id=email_id, message_id=index.header_message_id, sender="", recipients=[], steps=[])


async def submitter_names(services: Services, journeys: Iterable[Journey]) -> Names:
    """The addresses of the accounts that have logged in to send."""
    submitters = {
        event.account_id
        for journey in journeys
        for event in journey.events
        if event.name in AUTHENTICATED_EVENTS and event.account_id is not None
    }
    names: dict[AccountId, str] = {}
    for account_id in submitters:
        addresses = await services.accounts.addresses(UserId(account_id))
        if addresses:
            names[account_id] = addresses[0]
    return names
