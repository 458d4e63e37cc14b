"""`/api/admin/events`: what happened to the messages of all users."""

from typing import Annotated

from fastapi import APIRouter, Query

from relate_api.access.dependencies import Administrator, InjectedServices
from relate_api.admin.events.schemas import EventDetails, EventFilters, EventList

router = APIRouter(prefix="/events")


@router.get("")
async def list_events(
    filters: Annotated[EventFilters, Query()], _: Administrator, services: InjectedServices
) -> EventList:
    """List the newest events that match, the oldest of them first. Envelopes and replies, no content."""
    events = await services.events.find(filters.query())
    return EventList(items=[EventDetails.of(event) for event in events], next_cursor=None)
