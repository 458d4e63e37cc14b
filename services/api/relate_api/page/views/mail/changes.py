"""`/events`: tells the page that mail has changed, by Server-Sent Events."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Request

from relate_api.access.dependencies import InjectedServices
from relate_api.live.opening import open_stream, watch_key
from relate_api.live.position import MAX_TOKEN_CHARACTERS
from relate_api.live.response import EventStream, Watch
from relate_api.live.streams import Streams
from relate_api.page.routes import PageRoute
from relate_api.page.visitors import ListeningVisitor

STREAM_SECONDS = 300.0
"""The browser then connects again, and resumes: so a session that has ended in another process is noticed."""

router = APIRouter(route_class=PageRoute)


@router.get("/events", response_class=EventStream)
async def stream_changes(
    request: Request,
    visitor: ListeningVisitor,
    services: InjectedServices,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=MAX_TOKEN_CHARACTERS)] = None,
) -> EventStream:
    """Tell of changes, as `GET /api/events`."""
    streams: Streams = request.app.state.streams
    watch = _for_a_while(watch_key(visitor.principal, services, streams))
    return await open_stream(streams, visitor.principal, services, last_event_id, watch)


def _for_a_while(watch: Watch) -> Watch:
    """End a stream after a while, too."""

    def watch_longest(end: Callable[[], None]) -> Callable[[], None]:
        watches = ExitStack()
        watches.callback(watch(end))
        watches.callback(asyncio.get_running_loop().call_later(STREAM_SECONDS, end).cancel)
        return watches.close

    return watch_longest
