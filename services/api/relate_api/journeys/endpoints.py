"""`/api/journeys` and `/api/emails/{id}/journey`. An administrator sees all mail, other callers what concerns them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from relate_accounts.types import Scope
from relate_api.access.dependencies import InjectedServices, Principal, Reader, RequireScope
from relate_api.http.parameters import require_distinct_parameters
from relate_api.journeys.reading import read_journey, submitter_names
from relate_api.journeys.schemas import JourneyFilters, JourneyPage, MessageJourney
from relate_api.schemas import time_cursor
from relate_mailstore.journey_search import find_journeys, find_own_journeys

Observer = Annotated[Principal, Depends(RequireScope(Scope.API_READ, Scope.APP, Scope.ADMIN))]

router = APIRouter(prefix="/api", tags=["journeys"])


@router.get("/emails/{email_id:uuid}/journey")
async def get_email_journey(email_id: UUID, principal: Reader, services: InjectedServices) -> MessageJourney:
    """Get what happened to a message that the caller has sent or got, also after it was deleted."""
    return await read_journey(email_id, principal, services)


@router.get("/journeys", dependencies=[Depends(require_distinct_parameters)])
async def list_journeys(
    filters: Annotated[JourneyFilters, Query()], principal: Observer, services: InjectedServices
) -> JourneyPage:
    """List what happened to messages, newest first: with the scope `admin` to all, otherwise to the caller's."""
    search = filters.search()
    if Scope.ADMIN in principal.scopes:
        found = await find_journeys(services.events, search)
        names = await submitter_names(services, found.journeys)
    else:
        found = await find_own_journeys(services.events, principal.account_id, search)
        names = {principal.account_id: principal.user.address}
    items = [MessageJourney.of(journey, names) for journey in found.journeys]
    return JourneyPage(items=items, next_cursor=time_cursor(found.next_before))
