"""`GET /api/events`: a stream of what changes in the account."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from relate_api.access.dependencies import InjectedServices, Reader
from relate_api.live.opening import open_stream, watch_key
from relate_api.live.position import MAX_TOKEN_CHARACTERS
from relate_api.live.response import MEDIA_TYPE, EventStream
from relate_api.live.streams import Streams

PATH = "/api/events"

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events, until the client disconnects.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": 'id: AQEAAQEB\nevent: removed\ndata: {"mailbox":"INBOX","mailboxId":1,"uid":7}\n\n',
            }
        },
    }
}
_Field = Annotated[str | None, Header(alias="Last-Event-ID", max_length=MAX_TOKEN_CHARACTERS)]
_Parameter = Annotated[str | None, Query(alias="lastEventId", max_length=MAX_TOKEN_CHARACTERS)]

router = APIRouter(prefix=PATH, tags=["events"])


@router.get("", status_code=HTTPStatus.OK, response_class=EventStream, responses=_RESPONSES)
async def stream_events(
    request: Request,
    principal: Reader,
    services: InjectedServices,
    last_event_id: _Field = None,
    last_event_id_parameter: _Parameter = None,
) -> EventStream:
    """Tell of changes as they are committed, by Server-Sent Events.

    `new`, `changed` and `removed` tell of messages in mailboxes, `sent` and `bounced` of messages to other servers, one
    for each recipient. With the id of an event as `Last-Event-ID` (or `lastEventId`) the stream resumes after it;
    `reset` means that this is impossible, and that the client has to read its lists again.
    """
    streams: Streams = request.app.state.streams
    token = last_event_id or last_event_id_parameter
    return await open_stream(streams, principal, services, token, watch_key(principal, services, streams))
