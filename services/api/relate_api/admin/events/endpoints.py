"""`/api/admin/events`: what happened to the messages of all users."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from relate_api.access.dependencies import Administrator, InjectedServices
from relate_api.admin.events.schemas import EventDetails, EventFilters, EventPage
from relate_api.schemas import time_cursor
from relate_mailstore.event_types import Event, EventQuery
from relate_mailstore.ports import EventLog

MAX_SAME_TIME_ITEMS = 1000
"""Of the events of one microsecond."""

router = APIRouter(prefix="/events")


@router.get("")
async def list_events(
    filters: Annotated[EventFilters, Query()], _: Administrator, services: InjectedServices
) -> EventPage:
    """List events, newest first. Envelopes and replies, no content."""
    query = filters.query()
    found = await services.events.find(replace(query, limit=query.limit + 1))
    has_more = len(found) > query.limit
    page = await _whole_times(services.events, query, found) if has_more else found
    following = time_cursor(page[0].time if has_more else None)
    return EventPage(items=[EventDetails.of(event) for event in reversed(page)], next_cursor=following)


async def _whole_times(log: EventLog, query: EventQuery, found: Sequence[Event]) -> Sequence[Event]:
    """Without the oldest event, which is of the next page, and with all events of a time: a cursor is a time."""
    following, *page = found
    oldest = page[0].time
    if following.time != oldest:
        return page
    same = replace(query, since=oldest, before=math.nextafter(oldest, math.inf), limit=MAX_SAME_TIME_ITEMS)
    return [*await log.find(same), *(event for event in page if event.time != oldest)]
